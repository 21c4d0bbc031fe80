"""Create, find, subscribe, limit and suspend workspaces (tenants)."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Value
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.text import slugify

from accounts import subscriptions
from accounts.models import Founding
from accounts.subscriptions import subscribe_tenant
from core import locks, names
from core.errors import Conflict, Invalid, NotFound
from events.models import EventType
from events.outbox import record_event
from metering import plans
from metering.quota_sync import snapshot
from tenants.access import Access
from tenants.models import ApiKey, Membership, Tenant, User
from tenants.persons import domain_of, keep_person, site_of
from tenants.roles import Permission

MAX_OWNED = 10  # of one person
PLAYGROUND_KEY_NAME = "Studio"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
# What pages and new keys start with. The gateway reads what else can be edited.
STARTS = frozenset({"default_style", "key_limits", "key_lifetime_days"})
FIRST_PARTY_NAME = "Polyscribe"
FIRST_PARTY_SLUG = "polyscribe"


class NoTenant(NotFound):
    """You don't belong to a workspace yet. Create one first."""


class SlugTaken(Conflict):
    """The name "{slug}" is taken. Choose another one."""


class WatermarkRequired(Invalid):
    """This service watermarks all text it generates."""

    code = "invalid"


class SameName(Conflict):
    """You already have a workspace "{name}". Choose another name."""


class TooManyWorkspaces(Conflict):
    """You can own at most {most} workspaces. Delete one first."""

    names_support = True


class CreatedTooOften(Conflict):
    """You've created {count} workspaces recently, which is the limit. You can create another one after
    {after} (UTC)."""


class TooManyNewPeople(Conflict):
    """Too many new people from your email domain or network created a workspace today. Try again tomorrow."""

    names_support = True


class BadSlug(Invalid):
    """The name "{slug}" can't be used. Use lowercase letters, digits and hyphens, and no reserved word."""


class ReservedName(Invalid):
    """The name "{name}" is reserved because it looks like Polyscribe itself. Choose another one."""


def create_tenant(user: User, *, name: str, slug: str | None = None) -> Tenant:
    """Return a new tenant on the free plan, owned by a user.

    Without a slug, the name makes one.

    Raises ReservedName; and SlugTaken or BadSlug for a given slug.
    """
    if names.is_reserved(name):
        raise ReservedName(name=name)
    with transaction.atomic():
        keep_person(user)
        tenant = _create_with_slug(name, slug) if slug else _create_with_slug_of_name(name)
        Membership.objects.create(tenant=tenant, user=user, role=Membership.Role.OWNER)
        _subscribe_and_add_playground_key(tenant, plans.FREE)
    return tenant


def create_own_tenant(user: User, *, name: str, address: str | None = None) -> Tenant:
    """Return a new tenant for a person who may have others, also by other spellings of the email address.

    `address` is the IP address that the person came from. Raises SameName, TooManyWorkspaces, FreePlanTaken,
    FreePlanUsed, CreatedTooOften, TooManyNewPeople and ReservedName.
    """
    with transaction.atomic():
        # A form that is sent twice comes twice, and a person may have several accounts.
        subscriptions.lock(user)
        own = Tenant.objects.filter(
            memberships__user__person=user.person, memberships__role=Membership.Role.OWNER, deleted_at=None
        ).distinct()
        if own.filter(memberships__user=user, name__iexact=name).exists():
            raise SameName(name=name, field="workspace")
        if own.count() >= MAX_OWNED:
            raise TooManyWorkspaces(most=MAX_OWNED, field="workspace")
        subscriptions.require_unused(user)
        now = timezone.now()
        _require_seldom(user.person, now)
        founding = Founding(person=user.person)
        if not own.exists():
            founding.domain, founding.network = domain_of(user.email), site_of(address)
            _require_few_new_people(founding, now)
        tenant = create_tenant(user, name=name)
        founding.save()
        by = Access(tenant=tenant, user=user, role=Membership.Role.OWNER, address=address)
        by.audit("workspace.created", tenant)
    return tenant


def _require_seldom(person: str, now: datetime) -> None:
    """Raise CreatedTooOften where a person founded too many workspaces; deleted ones count."""
    for span, most in ((HOUR, settings.WORKSPACES_PER_HOUR), (DAY, settings.WORKSPACES_PER_DAY)):
        lately = Founding.objects.filter(person=person, created_at__gt=now - span).order_by("-created_at")
        counted = list(lately.values_list("created_at", flat=True)[:most])
        if len(counted) >= most:
            after = counted[-1] + span if counted else now + span
            raise CreatedTooOften(count=most, after=f"{after:%Y-%m-%d %H:%M}", field="workspace")


def _require_few_new_people(founding: Founding, now: datetime) -> None:
    """Raise TooManyNewPeople where a domain, or a network, brought many new people within a day.

    Whoever has a domain can read any number of addresses in it, and each would get the free allowance.
    """
    locks.one_at_a_time("founding by new people")  # else many at once would pass
    others = Founding.objects.filter(created_at__gt=now - DAY).exclude(person=founding.person)
    most = {"domain": settings.NEW_PEOPLE_PER_DOMAIN, "network": settings.NEW_PEOPLE_PER_NETWORK}
    for field, limit in most.items():
        origin = getattr(founding, field)
        if origin and others.filter(**{field: origin}).values("person").distinct().count() >= limit:
            raise TooManyNewPeople(field="workspace")


def first_party_tenant() -> Tenant:
    """Return the first party: the tenant that owns Polyscribe's own public styles. Create it if missing."""
    with transaction.atomic():
        tenant, created = Tenant.objects.get_or_create(
            is_first_party=True, defaults={"name": FIRST_PARTY_NAME, "slug": FIRST_PARTY_SLUG}
        )
        if created:
            _subscribe_and_add_playground_key(tenant, plans.STUDIO)
    return tenant


def playground_key(tenant: Tenant) -> ApiKey:
    """Return the key that the playground's usage is booked on. It has no secret, so nobody can show it."""
    key = ApiKey.objects.filter(tenant=tenant, digest=None).first()
    if key is not None:
        return key
    with transaction.atomic():
        # Two requests may be first at once; the constraint `one_studio_key` lets one of them create it.
        key, created = ApiKey.objects.get_or_create(
            tenant=tenant, digest=None, defaults={"name": PLAYGROUND_KEY_NAME}
        )
        if created:
            snapshot.mark_changed(tenant.pk)
    return key


def require_watermark_choice(is_watermarked: bool) -> None:
    """Raise WatermarkRequired for turning off a watermark that the operator requires."""
    if not is_watermarked and settings.WATERMARK == "required":
        raise WatermarkRequired(field="is_watermarked")


@transaction.atomic
def edit_workspace(by: Access, changes: Mapping[str, Any]) -> None:
    """Change a workspace's name, budget, watermark, retention of responses, style to begin with, or what new
    keys start with. Its slug, which programs write, stays.

    Raises RoleNotAllowed, ReservedName and WatermarkRequired.
    """
    by.require_permission(Permission.EDIT_WORKSPACE)
    tenant = by.tenant
    tenant.refresh_from_db(from_queryset=Tenant.objects.select_for_update(no_key=True))
    before = {field: getattr(tenant, field) for field in changes}
    after = {field: value for field, value in changes.items() if value != before[field]}
    if not after:
        return
    if "is_watermarked" in after:
        require_watermark_choice(after["is_watermarked"])
    if "name" in after and names.is_reserved(after["name"]) and not tenant.is_first_party:
        raise ReservedName(name=after["name"], field="name")
    updated = dict(after)
    if "responses_kept_days" in after:
        updated["responses_kept_since"] = _kept_since(
            before["responses_kept_days"], after["responses_kept_days"]
        )
    Tenant.objects.filter(pk=tenant.pk).update(**updated)
    tenant.refresh_from_db(fields=list(updated))
    if not after.keys() <= STARTS:
        snapshot.mark_changed(tenant.pk)
    by.audit("workspace.edited", tenant, before={field: before[field] for field in after}, after=after)


def _kept_since(*days: int | None) -> Greatest:
    """Return since when responses stay readable after a change of their days; never an earlier moment.

    What either number of days ends is over for good, also before it is deleted.
    """
    shortest = timedelta(days=min(kept or 0 for kept in days))
    return Greatest("responses_kept_since", Value(timezone.now() - shortest))  # to PostgreSQL, NULL is least


def suspend_tenant(tenant: Tenant, *, reason: str = "") -> None:
    """Stop serving a tenant from the next request on; its data stays. Its members read the reason."""
    _set_suspended(tenant, timezone.now(), reason)


def resume_tenant(tenant: Tenant) -> None:
    """Serve a suspended tenant again."""
    _set_suspended(tenant, None, "")


def _set_suspended(tenant: Tenant, since: datetime | None, reason: str) -> None:
    with transaction.atomic():
        # A tenant that is suspended already keeps its first moment and reason.
        other_state = Tenant.objects.filter(pk=tenant.pk, suspended_at__isnull=since is not None)
        other_state = other_state.filter(deleted_at=None)  # a deleted one never serves again
        is_changed = other_state.update(suspended_at=since, suspended_reason=reason)
        snapshot.mark_changed(tenant.pk)
        tenant.refresh_from_db(fields=["suspended_at", "suspended_reason"])
        if is_changed:
            event_type = EventType.WORKSPACE_SUSPENDED if since else EventType.WORKSPACE_RESUMED
            facts = {"reason": reason} if since else {}
            record_event(tenant.pk, event_type, tenant, **facts)


def _subscribe_and_add_playground_key(tenant: Tenant, plan: str) -> None:
    subscribe_tenant(tenant, plans.newest_plan_version(plan))
    playground_key(tenant)


def _create_with_slug(name: str, slug: str) -> Tenant:
    if slug != slugify(slug) or names.is_reserved(slug):
        raise BadSlug(slug=slug)
    tenant = _try_to_create(name, slug)
    if tenant is None:
        raise SlugTaken(slug=slug)
    return tenant


def _create_with_slug_of_name(name: str) -> Tenant:
    for slug in _propose_slugs(name):
        if names.is_reserved(slug):
            continue
        tenant = _try_to_create(name, slug)
        if tenant is not None:
            return tenant
    raise SlugTaken(slug=slugify(name))


def _propose_slugs(name: str) -> Iterator[str]:
    """Yield the name's own slug, then some with a number, then some with a random end."""
    stem = slugify(name)[:30].strip("-") or "workspace"
    yield stem
    for number in range(2, 10):
        yield f"{stem}-{number}"
    for _ in range(5):
        yield f"{stem}-{token_hex(4)}"


def _try_to_create(name: str, slug: str) -> Tenant | None:
    """Return a new tenant, or None if another one has the slug."""
    try:
        with transaction.atomic():
            return Tenant.objects.create(name=name, slug=slug)
    except IntegrityError:
        return None
