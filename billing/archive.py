"""Archive a month's usage events: export them to the bucket, verify the file, detach and drop the table.

Each step ends with the archive's next state, and begins where the one before ended, whatever crashed between
them. The ledger stays, and so do usage by day and the sums that invoices are made of.
"""

import csv
import hashlib
import logging
import zlib
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, Sum
from django.utils import timezone
from psycopg import sql

from adapters.object_store import read_object, write_object
from billing.author_shares import SHARES_OF_EVENTS
from core import locks, months
from core.errors import Conflict, DomainError, Unavailable
from tenants.metering import partitions
from tenants.models import ArchivedUsage, Invoice, InvoiceLine, LedgerEntry, Tenant, UsageArchive
from tenants.public import record_audit

MONTHS_KEPT = 2  # whole ones beside the present one: late usage of them is no rarity
MAX_NAMED = 20  # workspaces in a message
# Two that wrote one object at once could leave one's file under the other's checksum.
ARCHIVE_LOCK = "usage archive"
EXPORTED_FIELDS = ("sha256", "events", "tokens", "cost_nanousd")
# A month is read as a whole, and no page waits for it.
NO_TIMEOUT = "SET LOCAL statement_timeout = 0"
GZIP = 31  # zlib's name of the format
# What an export writes, in its order. Names and meaning are those of UsageEvent.
REQUEST_COLUMNS = ("id", "request_id", "tenant_id", "key_id", "style", "style_name", "version_number")
SERVED_COLUMNS = ("adapter_sha256", "base_model", "engine", "period", "admitted_at")
PROVENANCE_COLUMNS = ("watermark", "text_sha256", "constrained")
TOKEN_COLUMNS = ("prompt_tokens", "cached_tokens", "completion_tokens", "finish_reason", "outcome")
PRICE_COLUMNS = ("input_nanousd", "cached_input_nanousd", "output_nanousd", "cost_nanousd", "recorded_at")
EXPORTED_COLUMNS = (
    *REQUEST_COLUMNS,
    *SERVED_COLUMNS,
    *TOKEN_COLUMNS,
    *PRICE_COLUMNS,
    *PROVENANCE_COLUMNS,
)

logger = logging.getLogger(__name__)

State = UsageArchive.State
type Priced = tuple[str, str, str, int]  # workspace, style, meter, nano-USD a token


class MonthTooRecent(Conflict):
    """{period} is too recent. You can archive months up to {newest}."""

    code = "month_too_recent"


class NotInvoiced(Conflict):
    """{period} has usage that is not on a finalized invoice yet, for {workspaces}. Archive it after that."""

    code = "usage_not_invoiced"


class FileDiffers(Conflict):
    """The file for {period} doesn't match the ledger, for {workspaces}. Nothing was deleted."""

    code = "archive_differs"


class FileDamaged(Conflict):
    """The stored file for {period} differs from what was uploaded. Nothing was deleted. Try again."""

    code = "archive_damaged"


class NothingToArchive(Conflict):
    """All months up to {last} are already archived."""

    code = "nothing_to_archive"


class AlreadyRunning(Conflict):
    """Another process is already archiving usage."""

    code = "archive_running"


@dataclass
class UsageTotals:
    """What a workspace has in a month: requests that used something, tokens and nano-USD."""

    requests: int = 0
    tokens: int = 0
    cost_nanousd: int = 0


@dataclass
class FileContent:
    """What an exported file holds, as it was read back from the bucket."""

    sha256: str = ""
    events: int = 0
    by_tenant: defaultdict[str, UsageTotals] = field(default_factory=lambda: defaultdict(UsageTotals))
    tokens_of: defaultdict[Priced, int] = field(default_factory=lambda: defaultdict(int))
    mispriced: set[str] = field(default_factory=set)  # workspaces

    def add(self, row: Mapping[str, str]) -> None:
        """Count one event."""
        self.events += 1
        tenant = row["tenant_id"]
        cached = int(row["cached_tokens"])
        meters = (
            ("input", int(row["prompt_tokens"]) - cached, int(row["input_nanousd"])),
            ("cached input", cached, int(row["cached_input_nanousd"])),
            ("output", int(row["completion_tokens"]), int(row["output_nanousd"])),
        )
        tokens = 0
        cost = 0
        for meter, used, unit in meters:
            if used:
                self.tokens_of[tenant, row["style_name"], meter, unit] += used
                tokens += used
                cost += used * unit
        if cost != int(row["cost_nanousd"]):
            self.mispriced.add(tenant)
        if tokens:
            counted = self.by_tenant[tenant]
            counted.requests += 1
            counted.tokens += tokens
            counted.cost_nanousd += cost


def archive_before(period: str, *, now: datetime, reason: str) -> Iterator[UsageArchive]:
    """Archive each month before a period that has a table, the oldest first; yield each when it is done.

    Safe to repeat and to crash. Raises ValueError for a malformed period, MonthTooRecent, NotInvoiced,
    FileDiffers, FileDamaged, AlreadyRunning, and Unavailable while the bucket is away.
    """
    require_old_enough(months.before(period), now)
    with locks.only_one(ARCHIVE_LOCK) as is_ours:
        if not is_ours:
            raise AlreadyRunning
        for month in months_before(period):
            yield archive_month(month, now=now, reason=reason)


def archivable_months(now: datetime) -> list[str]:
    """Return the months that are old enough and not archived, the oldest first."""
    _, after_newest = months.bounds(_newest_old_enough(now))
    return months_before(months.period_of(after_newest))


def request_archives(last: str, *, now: datetime, reason: str) -> UsageArchive:
    """Have a worker archive a month and those before it that are not archived; return the last one's row.

    Safe to repeat. What could not be archived before is tried again. Raises MonthTooRecent, NothingToArchive.
    """
    require_old_enough(last, now)
    wanted = [period for period in archivable_months(now) if period <= last]
    if not wanted:
        raise NothingToArchive(last=last)
    for period in wanted:
        archive = _find_or_begin(period)
        # An empty `problem` lets the worker try once more.
        UsageArchive.objects.unfinished().filter(pk=archive.pk).update(reason=reason[:300], problem="")
    archive.refresh_from_db()
    return archive


def archive_requested(now: datetime) -> int:
    """Archive the months that operators requested, the oldest first; return how many.

    One that can't be archived says why in its row, and the others are. Safe to repeat, to crash, and from two
    workers at once. What fails because the storage is away is tried again.
    """
    requested = UsageArchive.objects.unfinished().exclude(reason="").filter(problem="")
    if not requested.exists():
        return 0
    count = 0
    with locks.only_one(ARCHIVE_LOCK) as is_ours:
        for one in list(requested.order_by("period")) if is_ours else ():
            try:
                archive_month(one.period, now=now, reason=one.reason)
                count += 1
            except Unavailable:
                logger.exception("%s waits for the storage", one)
            except DomainError as error:
                logger.warning("%s could not be archived: %s", one, error.message)
                UsageArchive.objects.filter(pk=one.pk).update(problem=str(error)[:300])
    return count


def months_before(period: str) -> list[str]:
    """Return the months before a period whose events are in a table of their own, the oldest first."""
    found = set(partitions.list_partitioned_months())
    begun = UsageArchive.objects.exclude(state=State.ARCHIVED).values_list("period", flat=True)
    # A detached table is no longer a partition, but its archive is still to be finished.
    return sorted(month for month in found.union(begun) if month < period)


def archive_month(period: str, *, now: datetime, reason: str) -> UsageArchive:
    """Archive one month, from where an earlier attempt ended. Raises what `archive_before` does."""
    require_old_enough(period, now)
    archive = _find_or_begin(period)
    while archive.state != State.ARCHIVED:
        STEPS[State(archive.state)](archive, reason)
    return archive


def require_old_enough(period: str, now: datetime) -> None:
    """Raise MonthTooRecent for the present month and the whole ones that are kept beside it."""
    newest = _newest_old_enough(now)
    if period > newest:
        raise MonthTooRecent(period=period, newest=newest)


def export_month(archive: UsageArchive, _: str) -> None:
    """Write a month's events into the bucket, read them back, and compare them with the ledger.

    Raises NotInvoiced, FileDamaged and FileDiffers.
    """
    _check_without_timeout(_require_invoiced, archive.period)
    table = partitions.partition_name(archive.period)
    written = hashlib.sha256()
    # A month is more than memory holds: rows go from PostgreSQL through gzip into the bucket in chunks.
    with closing(_copy_rows(table)) as rows:  # else a failed upload leaves the connection within the COPY
        write_object(archive.object_key, _compress(rows, written.update))
    # Rows are dropped for this file, so what counts is what the storage gives back, not what was sent.
    content = _read_content(read_object(archive.object_key))
    if content.sha256 != written.hexdigest():  # also of rows that cost nothing, which no ledger has
        raise FileDamaged(period=archive.period)
    _check_without_timeout(_require_ledgers, archive.period, content)
    with transaction.atomic():
        # An attempt that was broken off may have left rows.
        archive.usage.all().delete()
        ArchivedUsage.objects.bulk_create(_usage_rows(archive, content), batch_size=1000)
        _keep_shares(archive)
        archive.sha256 = content.sha256
        archive.events = content.events
        archive.tokens = sum(counted.tokens for counted in content.by_tenant.values())
        archive.cost_nanousd = sum(counted.cost_nanousd for counted in content.by_tenant.values())
        archive.state = State.EXPORTED
        archive.save(update_fields=[*EXPORTED_FIELDS, "state"])


def detach_month(archive: UsageArchive, _: str) -> None:
    """Take a month's table out of usage events; export it anew if it has changed since the export."""
    table = sql.Identifier(partitions.partition_name(archive.period))
    counting = """
        SELECT count(*), coalesce(sum(prompt_tokens::bigint + completion_tokens), 0),
               coalesce(sum(cost_nanousd), 0)
        FROM {}
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{partitions.LOCK_TIMEOUT}'")
        # Drains wait while the rows are counted: nothing may come between that and the detaching. All of
        # them at the parent, so that none holds what the next statement needs. Readers go on.
        cursor.execute(f"LOCK TABLE {partitions.EVENTS} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(NO_TIMEOUT)
        cursor.execute(sql.SQL(counting).format(table))
        counted = tuple(map(int, cursor.fetchone()))
        # Late usage may have come since the export. Then the file lacks it, and the export is made anew.
        if counted == (archive.events, archive.tokens, archive.cost_nanousd):
            detaching = f"ALTER TABLE {partitions.EVENTS} DETACH PARTITION {{}}"
            cursor.execute(sql.SQL(detaching).format(table))
            archive.state = State.DETACHED
        else:
            archive.state = State.EXPORTING
        archive.save(update_fields=["state"])


def drop_month(archive: UsageArchive, reason: str) -> None:
    """Drop a detached table, and write that into the audit log."""
    table = sql.Identifier(partitions.partition_name(archive.period))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{partitions.LOCK_TIMEOUT}'")
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
        archive.state = State.ARCHIVED
        archive.archived_at = timezone.now()
        archive.save(update_fields=["state", "archived_at"])
        after = {"object_key": archive.object_key, "sha256": archive.sha256, "events": archive.events}
        record_audit(None, action="usage.archived", row=archive, reason=reason, after=after)


STEPS: Mapping[State, Callable[[UsageArchive, str], None]] = {
    State.EXPORTING: export_month,
    State.EXPORTED: detach_month,
    State.DETACHED: drop_month,
}


def _newest_old_enough(now: datetime) -> str:
    newest = months.period_of(now)
    for _ in range(MONTHS_KEPT + 1):
        newest = months.before(newest)
    return newest


def _find_or_begin(period: str) -> UsageArchive:
    archive, _ = UsageArchive.objects.get_or_create(
        period=period, defaults={"object_key": f"archives/usage-{period}.csv.gz"}
    )
    return archive


def _check_without_timeout(check: Callable[..., None], *facts: object) -> None:
    """Make a check that reads a whole month."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(NO_TIMEOUT)
        check(*facts)


def _require_invoiced(period: str) -> None:
    """Raise NotInvoiced unless all usage of a month is on final invoices, of those who get any."""
    used = LedgerEntry.objects.filter(period=period, kind=LedgerEntry.Kind.USAGE)
    # The first party gets no invoices.
    billed = used.filter(tenant__is_first_party=False).order_by().values_list("tenant")
    owed = dict(billed.annotate(Sum("amount_nanousd")))
    lines = InvoiceLine.objects.filter(kind=InvoiceLine.Kind.USAGE, invoice__period=period).order_by()
    final = lines.exclude(invoice__state=Invoice.State.DRAFT).values_list("invoice__tenant")
    invoiced = dict(final.annotate(Sum("amount_nanousd")))
    missing = [tenant_id for tenant_id, nanousd in owed.items() if nanousd != invoiced.get(tenant_id, 0)]
    if missing:
        raise NotInvoiced(period=period, workspaces=_name_some(missing))


def _require_ledgers(period: str, content: FileContent) -> None:
    """Raise FileDiffers where a file's requests, tokens or costs are not the ledger's."""
    entries = LedgerEntry.objects.filter(period=period, kind=LedgerEntry.Kind.USAGE).order_by()
    booked: dict[str, UsageTotals] = {}
    sums = entries.values_list("tenant").annotate(Count("pk"), Sum("tokens"), Sum("amount_nanousd"))
    for tenant_id, requests, tokens, nanousd in sums:
        booked[str(tenant_id)] = UsageTotals(requests, int(tokens), int(nanousd))
    wrong = set(content.mispriced)
    for tenant in booked.keys() | content.by_tenant.keys():
        if booked.get(tenant) != content.by_tenant.get(tenant):
            wrong.add(tenant)
    if wrong:
        raise FileDiffers(period=period, workspaces=_name_some(UUID(tenant) for tenant in wrong))


def _name_some(tenant_ids: Iterable[UUID]) -> str:
    slugs = Tenant.objects.filter(pk__in=list(tenant_ids)).order_by("slug").values_list("slug", flat=True)
    return ", ".join(slugs[:MAX_NAMED])


def _copy_rows(table: str) -> Generator[bytes]:
    """Yield a table as CSV, with its columns' names, in the order in which it was written."""
    columns = sql.SQL(", ").join(map(sql.Identifier, EXPORTED_COLUMNS))
    copying = sql.SQL("COPY (SELECT {} FROM {} ORDER BY id) TO STDOUT (FORMAT csv, HEADER)")
    statement = copying.format(columns, sql.Identifier(table))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(NO_TIMEOUT)
        with cursor.copy(statement) as rows:
            for chunk in rows:
                yield bytes(chunk)


def _compress(chunks: Iterable[bytes], add_to_digest: Callable[[bytes], None]) -> Iterator[bytes]:
    """Yield a gzipped text; `add_to_digest` gets each of its chunks as it goes."""
    packer = zlib.compressobj(wbits=GZIP)
    for chunk in chunks:
        packed = packer.compress(chunk)
        add_to_digest(packed)
        yield packed
    last = packer.flush()
    add_to_digest(last)
    yield last


def _read_content(chunks: Iterable[bytes]) -> FileContent:
    content = FileContent()
    digest = hashlib.sha256()
    for row in csv.DictReader(_read_lines(chunks, digest.update)):
        content.add(row)
    content.sha256 = digest.hexdigest()
    return content


def _read_lines(chunks: Iterable[bytes], add_to_digest: Callable[[bytes], None]) -> Iterator[str]:
    """Yield the lines of a gzipped text; `add_to_digest` gets each of its chunks as it came."""
    unpacker = zlib.decompressobj(wbits=GZIP)
    rest = b""
    for chunk in chunks:
        add_to_digest(chunk)
        *lines, rest = (rest + unpacker.decompress(chunk)).split(b"\n")
        for line in lines:
            yield line.decode() + "\n"
    if rest:
        yield rest.decode()


def _keep_shares(archive: UsageArchive) -> None:
    """Keep what a month's events earn authors: its table is still there, and detaching counts it again."""
    archive.shares.all().delete()
    keeping = f"""
        INSERT INTO tenants_archivedshare (archive_id, author_id, tenant_id, style, share_nanousd)
        SELECT %(archive)s, author_id, tenant_id, style, share_nanousd FROM ({SHARES_OF_EVENTS}) AS of_events
    """  # noqa: S608 - our own constant
    with connection.cursor() as cursor:
        cursor.execute(NO_TIMEOUT)
        cursor.execute(keeping, {"archive": archive.pk, "period": archive.period})


def _usage_rows(archive: UsageArchive, content: FileContent) -> Iterator[ArchivedUsage]:
    for (tenant, style_name, meter, unit), tokens in content.tokens_of.items():
        yield ArchivedUsage(
            archive=archive,
            tenant_id=UUID(tenant),
            style_name=style_name,
            meter=meter,
            unit_nanousd=unit,
            tokens=tokens,
        )
