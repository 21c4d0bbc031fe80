"""The one table of what is stored, how long or how many of it, and what deletes it.

Every model, every key of Valkey and every kind of file has a row. A row's rows are deleted by the row's own
functions, some at a time, or it says why nothing has to. `tasks.sweep_retention` goes through the table, and
docs/retention.md shows it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Greatest, TruncHour

from accounts.models import Founding
from adapters.models import BlindVote, EngineSample
from adapters.public import prune_storage, withdraw_old_conversions
from billing.models import Payment, PaymentEvent
from billing.public import drop_old_months
from core import months, valkey
from drafts.models import Draft
from events.models import NoticeMail, OutboxEvent, ReachedThreshold, WebhookEndpoint
from inference.public import prune_consumers, prune_responses, prune_totals
from metering.models import RefusedRequest, UsageMinute
from metering.quota_sync.snapshot import prune_snapshots
from operations.models import FailedTask, ServiceSample
from tenants.audit import prune_log as prune_audit_log
from tenants.models import CachedAnswer, FormerMember, Invitation, Membership, User
from tenants.persons import end_memberships
from training.public import prune_files, prune_trainings

BATCH_SIZE = 1_000
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MAX_FAILURES = 2_000

logger = logging.getLogger(__name__)

type Delete = Callable[[datetime], int]


@dataclass(frozen=True)
class OlderThan:
    """Deletes the rows of a query whose moment is longer ago than an age."""

    rows: QuerySet[Any]
    moment: str
    age: timedelta

    def __call__(self, now: datetime) -> int:
        """Delete what is too old now; return how many."""
        return delete_in_batches(self.rows.filter(**{f"{self.moment}__lt": now - self.age}))

    def __str__(self) -> str:
        days, hours = self.age.days, self.age // HOUR
        count, unit = (days, "day") if self.age == timedelta(days=days) else (hours, "hour")
        return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


@dataclass(frozen=True)
class Row:
    """Things that are kept alike, and either what deletes them or why nothing has to."""

    stored: str  # models, keys of Valkey or files; the first names the row
    kept: str  # how long, for people; {0} is the age of the first function in `delete`
    by: str = ""  # "with `Owner`", a task in the timetable, "bounded", "books" or "expires"
    delete: tuple[Delete, ...] = ()
    every: timedelta = HOUR
    queue: str = "housekeeping"

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def names(self) -> list[str]:
        return self.stored.split(", ")

    @property
    def line(self) -> str:
        """The row in docs/retention.md."""
        kept = self.kept.format(*self.delete)
        return f"| {', '.join(f'`{name}`' for name in self.names)} | {kept} | {self.by or self._rhythm} |"

    @property
    def _rhythm(self) -> str:
        names = {HOUR: "hourly", DAY: "daily"}
        return names.get(self.every) or f"every {self.every // timedelta(minutes=1)} minutes"


def days_kept(name: str) -> int:
    """Return for how many days a row keeps what it names."""
    [row] = [row for row in TABLE if row.name == name]
    return next(delete.age.days for delete in row.delete if isinstance(delete, OlderThan))


def delete_old(name: str, now: datetime) -> int:
    """Delete what one row of the table no longer keeps; return how many. Safe to repeat."""
    [row] = [row for row in TABLE if row.name == name]
    deleted = sum(delete(now) for delete in row.delete)
    if deleted:
        logger.info("retention: %d of %s deleted", deleted, name)
    return deleted


def take_due() -> list[Row]:
    """Return the rows whose turn it is, once in each row's time. Raises redis.RedisError."""
    client = valkey.client()
    rows = [row for row in TABLE if row.delete]
    return [row for row in rows if client.set(valkey.retention_key(row.name), 1, nx=True, ex=row.every)]


def delete_in_batches(rows: QuerySet[Any]) -> int:
    """Delete rows, some at a time, with what hangs on them; return how many."""
    deleted = 0
    while ids := list(rows.order_by().values_list("pk", flat=True)[:BATCH_SIZE]):
        rows.filter(pk__in=ids).delete()
        deleted += len(ids)
    return deleted


def _later_in_the_hour(samples: QuerySet[Any], **same: Any) -> QuerySet[Any]:
    """Return the samples that aren't the first of their hour."""
    earlier = samples.filter(at__lt=OuterRef("at"), at__gte=OuterRef("hour"), **same)
    later: QuerySet[Any] = samples.annotate(hour=TruncHour("at", tzinfo=UTC)).filter(Exists(earlier))
    return later


def _private_drafts_of_nobody() -> QuerySet[Any]:
    """Return the drafts that nobody can open: since they were changed last, or since their author left."""
    members = Membership.objects.filter(tenant=OuterRef("tenant"), user=OuterRef("author"))
    former = FormerMember.objects.filter(tenant=OuterRef("tenant"), person=OuterRef("author__person"))
    left_at = Subquery(former.order_by("-left_at").values("left_at")[:1])
    drafts = Draft.objects.filter(~Exists(members), is_shared=False)
    ownerless: QuerySet[Any] = drafts.annotate(since=Greatest("changed_at", left_at))
    return ownerless


def _prune_failures(_: datetime) -> int:
    newest = FailedTask.objects.order_by("-last_at").values("pk")[:MAX_FAILURES]
    return delete_in_batches(FailedTask.objects.exclude(pk__in=newest))


def _prune_former_members(now: datetime) -> int:
    start, _ = months.bounds(months.before(months.before(months.period_of(now))))
    return delete_in_batches(FormerMember.objects.filter(left_at__lt=start))


def _end_memberships(now: datetime) -> int:
    """End memberships of workspaces that were erased a month ago: until then, owners can open the report."""
    old = Membership.objects.filter(tenant__erased_at__lt=now - timedelta(days=30))
    count = old.count()
    end_memberships(old)
    return count


def _forget_replaced_secrets(now: datetime) -> int:
    over = WebhookEndpoint.objects.filter(previous_secret_until__lt=now)
    return over.update(sealed_previous_secret="", previous_secret_until=None)


POSTGRESQL = (
    Row(
        "UsageEvent",
        "`USAGE_EVENTS_KEPT_MONTHS` whole months, and not before all its month's usage is on final invoices",
        delete=(lambda _: len(drop_old_months()),),
        every=DAY,
        queue="billing",  # reads a whole month
    ),
    Row(
        "UsageMinute",
        "{0}",
        delete=(OlderThan(UsageMinute.objects.all(), "minute", timedelta(days=40)),),
    ),
    Row(
        "RefusedRequest",
        "{0}, 5,000 per workspace",
        delete=(OlderThan(RefusedRequest.objects.all(), "at", timedelta(days=14)),),
    ),
    Row(
        "OutboxEvent",
        "{0}",
        delete=(OlderThan(OutboxEvent.objects.all(), "created_at", timedelta(days=30)),),
    ),
    Row(
        "Draft, DraftSnapshot",
        "until it is deleted, a private one whose author has left for {0}; of a draft's snapshots the newest "
        "50, with 5 million characters together",
        delete=(OlderThan(_private_drafts_of_nobody(), "since", timedelta(days=30)),),
        every=DAY,
    ),
    Row("WebhookDelivery", "as long as the event", "with `OutboxEvent`"),
    Row(
        "NoticeMail",
        "as long as the event; with an invitation, {0}",
        delete=(OlderThan(NoticeMail.objects.filter(event=None), "created_at", timedelta(days=30)),),
    ),
    Row(
        "ReachedThreshold",
        "{0}",
        delete=(OlderThan(ReachedThreshold.objects.all(), "created_at", timedelta(days=92)),),
        every=DAY,
    ),
    Row("CachedAnswer", "{0}", delete=(OlderThan(CachedAnswer.objects.all(), "created_at", DAY),)),
    Row(
        "AuditEntry, AuditCheckpoint",
        "`AUDIT_KEPT_DAYS`; then a checkpoint replaces them",
        delete=(prune_audit_log,),
        every=DAY,
        queue="billing",  # many rows of a year may take minutes
    ),
    Row(
        "LogEntry",
        "{0}: Django's own history of the console, in addition to the audit log",
        delete=(OlderThan(LogEntry.objects.all(), "action_time", timedelta(days=90)),),
        every=DAY,
    ),
    Row(
        "FailedTask",
        f"{{0}}, {MAX_FAILURES:,} rows",
        delete=(OlderThan(FailedTask.objects.all(), "last_at", timedelta(days=14)), _prune_failures),
    ),
    Row(
        "ServiceSample",
        "one per minute for {0}, one per hour for {1}",
        delete=(
            # An hour more than the chart of a day shows, so that its first interval has a beginning.
            OlderThan(_later_in_the_hour(ServiceSample.objects.all()), "at", timedelta(hours=25)),
            OlderThan(ServiceSample.objects.all(), "at", timedelta(days=31)),
        ),
    ),
    Row(
        "EngineSample",
        "likewise, of each engine",
        delete=(
            OlderThan(
                _later_in_the_hour(EngineSample.objects.all(), engine=OuterRef("engine")),
                "at",
                timedelta(hours=25),
            ),
            OlderThan(EngineSample.objects.all(), "at", timedelta(days=31)),
        ),
    ),
    Row(
        "Session, UserSession",
        "until it ends: after two weeks, an operator's after eight hours",
        delete=(
            OlderThan(Session.objects.all(), "expire_date", timedelta()),
            # The row may be there before its session is saved.
            OlderThan(
                UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")),
                "created_at",
                HOUR,
            ),
        ),
    ),
    Row(
        "User",
        "{0} without a confirmed address; otherwise until its owner deletes it",
        delete=(
            OlderThan(
                User.objects.filter(last_login=None, memberships=None, is_staff=False).exclude(
                    emailaddress__verified=True
                ),
                "date_joined",
                timedelta(days=30),
            ),
        ),
    ),
    Row(
        "EmailAddress, Authenticator, User_groups, User_user_permissions, Favourite",
        "as long as the account",
        "with `User`",
    ),
    Row("EmailConfirmation", "never written: links are signed instead", "with `EmailAddress`"),
    Row(
        "Invitation",
        "{0} after its end: so long it can be sent again",
        delete=(OlderThan(Invitation.objects.all(), "expires_at", timedelta(days=7)),),
    ),
    Row(
        "Founding",
        "{0}: how many workspaces a person created, under a keyed digest of the address; of a new person "
        "also of the domain and network",
        delete=(OlderThan(Founding.objects.all(), "created_at", DAY),),
    ),
    Row(
        "FormerMember",
        "two full months after the person left, for authors' shares and the free plan, under such a digest",
        delete=(_prune_former_members,),
    ),
    Row("Membership", "30 days after the workspace's erasure", delete=(_end_memberships,)),
    Row(
        "BlindVote",
        "{0} after the round began",
        delete=(OlderThan(BlindVote.objects.all(), "begun_at", DAY),),
    ),
    Row(
        "Payment, PaymentEvent",
        "an unpaid payment {0}, an event {1}; completed payments forever",
        delete=(
            OlderThan(Payment.objects.filter(state=Payment.State.CANCELED), "created_at", timedelta(days=90)),
            # Stripe repeats for three days; its dashboard sends again for 30.
            OlderThan(PaymentEvent.objects.all(), "created_at", timedelta(days=40)),
        ),
        every=DAY,
    ),
    Row(
        "WebhookEndpoint",
        "bounded: as many as the plan allows; a replaced secret for a day",
        delete=(_forget_replaced_secrets,),
    ),
    Row(
        "Tenant, BillingDetails, PaymentAccount, Subscription, Style, Selection, Share",
        "bounded: one per workspace, or as many as its plan allows",
        "bounded",
    ),
    Row(
        "LedgerEntry, UsageDaily",
        "forever: one entry per request, and totals by day, from which every invoice can be recreated",
        "books",
    ),
    Row(
        "Invoice, InvoiceLine, InvoiceNumber, CreditNote, CreditNoteNumber, CreditGrant, CreditBurn, "
        "AuthorEarning, HostedStyle, TrainingHold",
        "forever: what was charged, and for what",
        "books",
    ),
    Row(
        "Plan, PlanVersion, PriceBook, Price, StylePrice, ApiKey",
        "forever: what invoices, usage and the audit log refer to; of a key only a digest",
        "books",
    ),
    Row(
        "AdapterVersion, Release, PriceChange",
        "as long as the style; a failed upload keeps its row, but its files are deleted",
        "with `Style`",
    ),
    Row(
        "Training, Document, Evaluation",
        "a draft 30 days after its last change, others 400 days after their end; documents and the samples "
        "of evaluations 30 days after the training's end, or until a member deletes them if the workspace "
        "keeps its texts; with an erased style, version or workspace. The newest three evaluations of each "
        "version",
        delete=(prune_trainings,),
        every=timedelta(minutes=10),
        queue="uploads",  # waits for the storage
    ),
    Row("TrainingEvent", "as long as the training", "with `Training`"),
    Row(
        "File",
        "until it's deleted, expires or its workspace is deleted, and then as long as a job names it",
        delete=(prune_files,),
        every=timedelta(minutes=10),
        queue="uploads",
    ),
    Row("VersionStep, Probe, Erasure, Placement", "as long as the version", "with `AdapterVersion`"),
    Row("EngineErasure", "as long as the erasure's report", "with `Erasure`"),
    Row(
        "SampleData",
        "one row in a demo, none elsewhere; it stays after the data is removed, so that it isn't added again",
        "bounded",
    ),
    Row("BaseModel, Engine", "bounded: as many as operators register", "bounded"),
    Row("BaseReading", "as long as the engine", "with `Engine`"),
    Row(
        "StoredResponse, Conversation, StoredBytes",
        "the workspace's `responses_kept_days` (1, 7 or 30) from its creation, a conversation's from its "
        "last change, together up to `RESPONSES_MAX_MIB`; of a deleted workspace, or one that no longer "
        "stores anything, within minutes",
        delete=(lambda _: prune_responses(),),
        every=timedelta(minutes=3),
    ),
    Row("ConversationItem", "as long as the conversation, up to 4 MiB", "with `Conversation`"),
    Row(
        "Permission, ContentType, Group, Group_permissions",
        "bounded: written by migrations",
        "bounded",
    ),
)

VALKEY = (
    Row(
        "workspace:<tenant_id>:limits, workspace:<tenant_id>:published, workspace:<tenant_id>:library",
        "one per workspace",
        "bounded",
    ),
    Row(
        "workspace:<tenant_id>:account:<period>, workspace:<tenant_id>:bucket",
        "an account 92 days after its month; of a bucket the fields of ended keys for a day",
        delete=(lambda _: prune_snapshots(),),
        every=DAY,
    ),
    Row("workspace:<tenant_id>:key:<key_id>, owner:<digest>", "a day after the API key's end", "expires"),
    Row(
        "workspace:<tenant_id>:hold:<request_id>, leases",
        "while the request runs, plus an hour so that nothing settles twice",
        "`inference.tasks.sweep`",
    ),
    Row("workspace:<tenant_id>:suspect:<fingerprint>", "minutes", "expires"),
    Row(
        "workspace:<tenant_id>:replay:<digest>, workspace:<tenant_id>:kept, workspace:<tenant_id>:kept_bytes",
        "as long as an Idempotency-Key is valid, up to a number of bytes; a conversation's lock while a "
        "response is written to it",
        "expires",
    ),
    Row("workspace:<tenant_id>:refusals:<key_id>, refusals:<network>", "1 minute", "expires"),
    Row("workspace:<tenant_id>:reader_seconds", "1 hour", "expires"),
    Row(
        "login:<digest>, login:code:<digest>",
        "10 minutes: a command-line login until it is confirmed and its key is fetched",
        "expires",
    ),
    Row(
        "workspace:<tenant_id>:refused, refused:workspaces",
        "until they are in the log",
        "`inference.tasks.drain_refusals`",
    ),
    Row(
        "usage",
        "until it is in the ledger; a drain that ended an hour ago is forgotten",
        delete=(lambda _: prune_consumers(valkey.client()),),
    ),
    Row("usage:refused", "until an operator handles it: the alert `UsageRefused`", "operators"),
    Row(
        "routes:styles, routes:versions, routes:engines",
        "one row per live style, per version of it, and per engine",
        "`adapters.tasks.compare_routes`",
    ),
    Row(
        "routes:sources",
        "until a day after the style or engine was removed",
        "`adapters.tasks.compare_routes`",
    ),
    Row("routes:changes", "the newest thousand", "bounded"),
    Row("routes:generation, routes:incarnation, epoch", "one", "bounded"),
    Row("routes:building:<word>", "minutes", "expires"),
    Row(
        "metrics:totals",
        "one field per metric and labels; those of removed engines are deleted",
        delete=(lambda _: prune_totals(valkey.client()),),
    ),
    Row("metrics:tasks", "one field per task", "bounded"),
    Row("metrics:login_lockouts", "one number", "bounded"),
    Row("retention:<name>", "until this table's row is due again", "expires"),
    Row("login:<kind>:<digest>", "while a password is checked, ten seconds at most", "expires"),
    Row("metrics:process:<process>, metrics:processes", "seconds after the process's end", "expires"),
)

FILES = (
    Row(
        "uploads/, adapters/",
        "a version's files: as long as the version, those of a rejected one that can be corrected for 7 "
        "days; files without a row for a week, parts of unfinished uploads for a day",
        delete=(lambda _: withdraw_old_conversions(), lambda _: prune_storage()),
        every=timedelta(minutes=10),
        queue="uploads",
    ),
    Row("the same next to an engine", "while a placement is wanted", "`adapters.tasks.reconcile_all`"),
    Row(
        "trainings/",
        "a training's documents, examples and checkpoints: as long as its `Document` rows; files without a "
        "row for a week, and what is posted after an erasure until the next run",
        "with `Training`",
    ),
    Row(
        "files/",
        "a file of `/v1/files`: as long as its row; one whose upload broke off for two hours",
        "with `File`",
    ),
    Row("logs of the compose file's services", "up to 50 MB each", "Docker"),
    Row("series", "`METRICS_KEPT` (30 days), `METRICS_MOST` (10 GB)", "Prometheus"),
)

TABLE = (*POSTGRESQL, *VALKEY, *FILES)
