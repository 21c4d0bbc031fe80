"""Free workspaces of one person share an allowance: they are one pool.

The oldest owner of a workspace decides whose it is. What a pool used is booked with each request, under the
pool that admitted it, so neither a deletion nor another owner gives anything back.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from django.db.backends.utils import CursorWrapper
from django.db.models import OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Concat, Left

from tenants.metering import plans
from tenants.metering.persons import person_of, person_of_address
from tenants.models import FreeUsage, Membership, PlanVersion, Tenant, User

PREFIX = "free-"
DIGITS = 32  # 128 bits of the person's digest

ADD_TO_FREE_USAGE = """
    INSERT INTO tenants_freeusage AS usage (pool, period, tokens) VALUES (%s, %s, %s)
    ON CONFLICT (period, pool) DO UPDATE SET tokens = usage.tokens + excluded.tokens
"""


def pool_of(tenant: Tenant, version: PlanVersion) -> str:
    """Return the id of whatever shares the allowance of a workspace on a plan version.

    That is the workspace's own id, except for free workspaces that somebody owns.
    """
    if version.plan_id != plans.FREE:
        return str(tenant.pk)
    owner = find_payer(tenant)
    return str(tenant.pk) if owner is None else pool_of_person(person_of(owner))


def pool_of_person(person: str) -> str:
    """Return the id that a person's free workspaces share."""
    return PREFIX + person[:DIGITS]


def find_payer(tenant: Tenant) -> User | None:
    """Return the oldest owner of a workspace: the founder, as long as the founder owns it."""
    owners = Membership.objects.filter(tenant=tenant, role=Membership.Role.OWNER)
    oldest = owners.select_related("user").order_by("created_at", "pk").first()
    return oldest.user if oldest else None


def free_tokens_used(pool: str, period: str) -> int:
    """Return the tokens that a pool used in a month."""
    usage = FreeUsage.objects.filter(pool=pool, period=period).values_list("tokens", flat=True).first()
    return usage or 0


class OwnBounds(NamedTuple):
    """What bounds a workspace beside its plan: its own budget, and what its pool used (None: no owner)."""

    budget_nanousd: int | None
    shared_tokens: int | None


def read_bounds(tenants: QuerySet[Tenant], period: str) -> dict[UUID, OwnBounds]:
    """Return workspace → its own bounds in a month; one query, and one more for accounts of old.

    What the pool used means something for free workspaces alone.
    """
    owners = Membership.objects.filter(tenant=OuterRef("pk"), role=Membership.Role.OWNER)
    oldest = owners.order_by("created_at", "pk")
    pool = Concat(Value(PREFIX), Left(OuterRef("payer_person"), DIGITS))
    rows = tenants.annotate(
        payer_person=Subquery(oldest.values("user__person")[:1]),
        payer_email=Subquery(oldest.values("user__email")[:1]),
        pool_tokens=Subquery(FreeUsage.objects.filter(period=period, pool=pool).values("tokens")[:1]),
    ).values_list("pk", "monthly_nanousd", "payer_person", "payer_email", "pool_tokens")
    bounds: dict[UUID, OwnBounds] = {}
    unnamed: dict[UUID, str] = {}  # of accounts whose person is not kept yet
    for tenant_id, budget_nanousd, person, email, tokens in rows:
        bounds[tenant_id] = OwnBounds(budget_nanousd, (tokens or 0) if person else None)
        if email and not person:
            unnamed[tenant_id] = pool_of_person(person_of_address(email))
    if unnamed:
        usage = FreeUsage.objects.filter(period=period, pool__in=unnamed.values())
        by_pool = dict(usage.values_list("pool", "tokens"))
        for tenant_id, pool_id in unnamed.items():
            bounds[tenant_id] = bounds[tenant_id]._replace(shared_tokens=by_pool.get(pool_id, 0))
    return bounds


def add_to_free_usage(cursor: CursorWrapper, used: Iterable[tuple[str, str, int]]) -> None:
    """Book (pool, period, tokens) of usage events, in the transaction that writes the events."""
    sums: Counter[tuple[str, str]] = Counter()
    for pool, period, tokens in used:
        if pool and tokens:
            sums[pool, period] += tokens
    # In one order, so that two recorders can't wait for each other.
    for (pool, period), tokens in sorted(sums.items()):
        cursor.execute(ADD_TO_FREE_USAGE, [pool, period, tokens])
