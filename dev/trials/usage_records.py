"""What PostgreSQL and Valkey say about a trial's tenants: the one place where a trial reads them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
import redis
from psycopg.rows import namedtuple_row

from core import months, valkey

# A period's sums by three ways that must agree: the events, the ledger, and the days that pages show.
SUMS = """
    SELECT tenant_id, period, sum(tokens)::bigint AS tokens, sum(nanousd)::bigint AS nanousd FROM (
        SELECT tenant_id, period, prompt_tokens::bigint + completion_tokens AS tokens,
               cost_nanousd AS nanousd, 'events' AS book FROM metering_usageevent
        UNION ALL
        SELECT tenant_id, period, tokens, amount_nanousd, 'ledger' FROM metering_ledgerentry
        WHERE kind = 'usage'
        UNION ALL
        SELECT tenant_id, to_char(day, 'YYYY-MM'), prompt_tokens + completion_tokens, cost_nanousd, 'days'
        FROM metering_usagedaily
    ) AS entries
    WHERE tenant_id = ANY(%s::uuid[]) AND book = %s
    GROUP BY tenant_id, period
"""

NOTHING = (0, 0)
OF_OPEN_REQUESTS = ("held", "reserved", "open")

type Sums = dict[tuple[str, str], tuple[int, int]]  # (tenant, period) → (tokens, nano-USD)


@dataclass(frozen=True)
class Event:
    """One usage event's counts and how its request ended."""

    prompt_tokens: int
    completion_tokens: int
    outcome: str


class UsageRecords:
    """Reads both stores; neither is ever written."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._database_url = variables["DATABASE_URL"]
        # redis-py types each answer as the union of all its modes; ours is one: decoded text
        self._store: Any = redis.Redis.from_url(
            variables["VALKEY_URL"], decode_responses=True, socket_timeout=2, socket_connect_timeout=2
        )

    def in_use(self, tenant: str) -> tuple[int, int] | None:
        """Return the month's (used, held) tokens at one instant, or None while Valkey knows none."""
        try:
            used, held = self._store.hmget(valkey.account_key(tenant, months.current()), "used", "held")
        except redis.RedisError:
            return None
        return None if used is None else (int(used), int(held or 0))

    def in_use_nanousd(self, tenant: str) -> int:
        """Return what the month has spent and reserved at one instant; 0 while Valkey does not answer."""
        account = valkey.account_key(tenant, months.current())
        try:
            spent, reserved = self._store.hmget(account, "spent", "reserved")
        except redis.RedisError:
            return 0
        return int(spent or 0) + int(reserved or 0)

    def spent_nanousd(self, tenant: str) -> int:
        """Return the month's cost of a tenant's requests and trainings as the ledger says."""
        [trained] = self._rows(
            "SELECT coalesce(sum(amount_nanousd), 0)::bigint AS nanousd FROM metering_ledgerentry "
            "WHERE kind = 'training' AND tenant_id = %s::uuid AND period = %s",
            tenant,
            months.current(),
        )
        used = self._sums([tenant], "ledger").get((tenant, months.current()), (0, 0))[1]
        return used + int(trained.nanousd)

    def events(self, tenants: Iterable[str]) -> dict[str, list[Event]]:
        """Return the usage events of tokens by request id: lists, because one too many is what is looked for.

        An engine's failure is an event, too, but of no tokens.
        """
        found: dict[str, list[Event]] = {}
        for row in self._rows(
            "SELECT request_id, prompt_tokens, completion_tokens, outcome FROM metering_usageevent "
            "WHERE tenant_id = ANY(%s::uuid[]) AND prompt_tokens + completion_tokens > 0",
            list(tenants),
        ):
            event = Event(row.prompt_tokens, row.completion_tokens, row.outcome)
            found.setdefault(row.request_id, []).append(event)
        return found

    def prices(self, tenant: str) -> set[tuple[int, int, int]]:
        """Return the prices at which a tenant's requests were billed: input, cached input, output."""
        rows = self._rows(
            "SELECT DISTINCT input_nanousd, cached_input_nanousd, output_nanousd FROM metering_usageevent "
            "WHERE tenant_id = %s::uuid AND prompt_tokens + completion_tokens > 0",
            tenant,
        )
        return {(row.input_nanousd, row.cached_input_nanousd, row.output_nanousd) for row in rows}

    def costs_of_style(self, style: str, *, since: str, but_of: str) -> list[int]:
        """Return what each request for a style cost since a moment, but those of one tenant."""
        rows = self._rows(
            "SELECT cost_nanousd FROM metering_usageevent WHERE style = %s::uuid AND tenant_id <> %s::uuid "
            "AND admitted_at >= %s::timestamptz AND prompt_tokens + completion_tokens > 0",
            style,
            but_of,
            since,
        )
        return [row.cost_nanousd for row in rows]

    def earned(self, author: str) -> tuple[int, int]:
        """Return of how many requests an author has a share, and the nano-USD that were booked."""
        [row] = self._rows(
            "SELECT coalesce(sum(requests), 0)::bigint AS requests, "
            "coalesce(sum(share_nanousd), 0)::bigint AS nanousd "
            "FROM metering_authorearning WHERE author_id = %s::uuid",
            author,
        )
        return row.requests, row.nanousd

    def charged_twice(self, tenants: Iterable[str]) -> list[str]:
        """Return request ids that have more than one ledger entry, or one without an event.

        And trainings that were charged without a hold that ended, or for more than was held.
        """
        tenants = list(tenants)
        rows = self._rows(
            "SELECT source_id FROM metering_ledgerentry AS entry "
            "LEFT JOIN metering_usageevent AS event ON event.request_id = entry.source_id "
            "WHERE entry.tenant_id = ANY(%s::uuid[]) AND kind = 'usage' "
            "GROUP BY source_id HAVING count(*) > 1 OR count(event.request_id) <> count(*)",
            tenants,
        )
        wrong = self._rows(
            "SELECT source_id FROM metering_ledgerentry AS entry "
            "LEFT JOIN metering_traininghold AS hold ON hold.training::text = entry.source_id "
            "WHERE entry.tenant_id = ANY(%s::uuid[]) AND kind = 'training' AND (settled_at IS NULL "
            "OR amount_nanousd > nanousd OR amount_nanousd <> entry.tokens * token_nanousd)",
            tenants,
        )
        return [row.source_id for row in (*rows, *wrong)]

    def disagreements(self, tenants: Iterable[str]) -> list[str]:
        """Return where two sources name different sums for a tenant's month; nothing is what must be."""
        tenants = list(tenants)
        ledger = self._sums(tenants, "ledger")
        sums_by_source = {name: self._sums(tenants, name) for name in ("events", "days")}
        sums_by_source["Valkey"] = self._counters(
            [*ledger, *((tenant, months.current()) for tenant in tenants)]
        )
        found = []
        for name, sums in sums_by_source.items():
            for tenant, period in ledger.keys() | sums.keys():
                in_source = sums.get((tenant, period), NOTHING)
                in_ledger = ledger.get((tenant, period), NOTHING)
                if in_source != in_ledger:
                    found.append(f"{tenant} {period}: {name} says {in_source}, the ledger {in_ledger}")
        return found

    def used(self, tenant: str) -> int:
        """Return the month's tokens of a tenant as the ledger says."""
        return self._sums([tenant], "ledger").get((tenant, months.current()), (0, 0))[0]

    def left_open(self, tenants: Iterable[str]) -> list[str]:
        """Return all that still counts as open, by name; nothing once all is settled."""
        tenants = list(tenants)
        found = [f"lease {member}" for member in self._store.zrange(valkey.leases_key(), 0, -1)]
        for tenant in tenants:
            found += self._open_of(tenant)
        open_trainings = self._rows(
            "SELECT training FROM metering_traininghold "
            "WHERE tenant_id = ANY(%s::uuid[]) AND settled_at IS NULL",
            tenants,
        )
        return found + [f"training {row.training}" for row in open_trainings]

    def under_way(self) -> int:
        """Return how many usage events wait in Valkey for the ledger."""
        return int(self._store.xlen(valkey.usage_key()))

    def refused(self) -> int:
        """Return how many usage events PostgreSQL would not take."""
        return int(self._store.xlen(valkey.refused_usage_key()))

    def _open_of(self, tenant: str) -> list[str]:
        holds = [
            name
            for name in self._store.scan_iter(match=valkey.hold_key(tenant, "*"), count=1000)
            if not self._store.hexists(name, "swept")  # only remembered: its gateway may have been slow
        ]
        account = self._store.hgetall(valkey.account_key(tenant, months.current()))
        counters = account | self._store.hgetall(valkey.bucket_key(tenant))
        left = []
        for name, number in counters.items():
            is_of_open_requests = name.split(":")[0] in OF_OPEN_REQUESTS
            if is_of_open_requests and float(number):
                left.append(f"{tenant} {name}={number}")
        return [*holds, *left]

    def _counters(self, of: Iterable[tuple[str, str]]) -> Sums:
        found: Sums = {}
        for tenant, period in of:
            tokens, nanousd = self._store.hmget(valkey.account_key(tenant, period), "used", "spent")
            found[tenant, period] = (int(tokens or 0), int(nanousd or 0))
        return found

    def _sums(self, tenants: list[str], book: str) -> Sums:
        rows = self._rows(SUMS, tenants, book)
        return {(str(row.tenant_id), row.period): (row.tokens, row.nanousd) for row in rows}

    def _rows(self, query: LiteralString, *values: object) -> list[Any]:
        with psycopg.connect(self._database_url, connect_timeout=5, row_factory=namedtuple_row) as connection:
            return connection.execute(query, values).fetchall()
