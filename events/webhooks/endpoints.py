"""Endpoints: make, edit, test, disable and delete them, replace their secrets, send a delivery again.

What pages and programs call. Each action is in the audit log; a secret is returned once and never again.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TypedDict, Unpack

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from core import locks
from core.errors import Conflict, Invalid
from core.messages import Message, MessageCode
from events.models import EventType, WebhookDelivery, WebhookEndpoint
from events.outbox import record_event
from events.webhooks import delivery, signing, transport
from tenants.access import Access
from tenants.models import Tenant

# Each event becomes a row for each endpoint that wants it.
MAX_ENDPOINTS = 10
PREVIOUS_SECRET_LIVES = timedelta(hours=24)
# What nobody subscribes to: it goes to the endpoint that is tried.
NOT_CHOSEN = (EventType.WEBHOOK_TEST,)


class DisabledReason(MessageCode):
    """Who disabled an endpoint, where it did not fail."""

    BY_PERSON = _("Disabled by {who}.")
    BY_KEY = _("Disabled by an API key.")
    BY_OPERATOR = _("Disabled by the operators of this site: {reason}")


class TooManyEndpoints(Conflict):
    """A workspace can have at most {limit} webhook endpoints. Delete one first."""

    code = "too_many_endpoints"


class UrlTaken(Conflict):
    """There is already an endpoint with this URL. Edit it instead."""

    code = "url_taken"


class UnknownEventType(Invalid):
    """Unknown event type "{event_type}"."""

    code = "unknown_event_type"


class EndpointDisabled(Conflict):
    """This endpoint is disabled. Enable it first."""

    code = "endpoint_disabled"


class DisabledAlready(Conflict):
    """This endpoint is already disabled."""

    code = "endpoint_disabled"


class EndpointChanges(TypedDict, total=False):
    """What of an endpoint can be edited. No event types: all of them."""

    url: str
    description: str
    event_types: Sequence[str]


def create_endpoint(
    by: Access, *, url: str, description: str = "", event_types: Sequence[str] = ()
) -> tuple[WebhookEndpoint, str]:
    """Return a new endpoint and its secret, which nobody can read again.

    Raises BadUrl, RefusedAddress, UnknownEventType, UrlTaken or TooManyEndpoints.
    """
    _check(url=url, event_types=event_types)
    tenant = by.tenant
    secret = signing.new_secret()
    with transaction.atomic():
        _lock_endpoints(tenant)
        if WebhookEndpoint.objects.filter(tenant=tenant).count() >= MAX_ENDPOINTS:
            raise TooManyEndpoints(limit=MAX_ENDPOINTS)
        _require_free_url(tenant, url)
        endpoint = WebhookEndpoint.objects.create(
            tenant=tenant,
            url=url,
            description=description,
            event_types=_in_order(event_types),
            sealed_secret=signing.seal_secret(secret),
            created_by=by.user,
        )
        by.audit("webhook_endpoint.created", endpoint, after={"url": endpoint.shown_url})
    return endpoint, secret


def edit_endpoint(endpoint: WebhookEndpoint, *, by: Access, **changes: Unpack[EndpointChanges]) -> None:
    """Change an endpoint's address, description or event types; what waits goes to the new address.

    Raises what `create_endpoint` raises.
    """
    url = changes.get("url", endpoint.url)
    event_types = changes.get("event_types", endpoint.event_types)
    _check(url=url, event_types=event_types)
    url_before = endpoint.url
    after = {**changes, "event_types": _in_order(event_types)}
    changed = [name for name, value in after.items() if value != getattr(endpoint, name)]
    if not changed:
        return
    before = _auditable(endpoint, changed)
    with transaction.atomic():
        _lock_endpoints(by.tenant)
        if url != url_before:
            _require_free_url(by.tenant, url)
        for name in changed:
            setattr(endpoint, name, after[name])
        endpoint.save(update_fields=[*changed, "changed_at"])
        if url != url_before:
            # What waits had failed at the old address.
            _try_now(endpoint)
        by.audit("webhook_endpoint.edited", endpoint, before=before, after=_auditable(endpoint, changed))


def _auditable(endpoint: WebhookEndpoint, names: Iterable[str]) -> dict[str, object]:
    """Return some fields for the audit log: of an address its host, for the rest is as good as a password."""
    return {name: endpoint.shown_url if name == "url" else getattr(endpoint, name) for name in names}


def rotate_secret(endpoint: WebhookEndpoint, *, by: Access) -> str:
    """Return a new secret. For a day deliveries are signed with both; a secret before these two is gone."""
    secret = signing.new_secret()
    with transaction.atomic():
        held = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        held.sealed_previous_secret = held.sealed_secret
        held.previous_secret_until = timezone.now() + PREVIOUS_SECRET_LIVES
        held.sealed_secret = signing.seal_secret(secret)
        held.save(
            update_fields=["sealed_secret", "sealed_previous_secret", "previous_secret_until", "changed_at"]
        )
        by.audit("webhook_endpoint.secret_rotated", endpoint)
    endpoint.refresh_from_db()
    return secret


def reseal_secrets(endpoint: WebhookEndpoint) -> None:
    """Encrypt an endpoint's secrets under the current pepper's key. Raises fernet.InvalidToken."""
    endpoint.sealed_secret = signing.reseal_secret(endpoint.sealed_secret)
    if endpoint.sealed_previous_secret:
        endpoint.sealed_previous_secret = signing.reseal_secret(endpoint.sealed_previous_secret)
    endpoint.save(update_fields=["sealed_secret", "sealed_previous_secret"])


def send_test(endpoint: WebhookEndpoint, *, by: Access) -> WebhookDelivery:
    """Send an endpoint a `webhook.test` event at once, and return its delivery. Raises EndpointDisabled.

    It goes past what waits for its next attempt, which is tried after it: the server may be mended.
    """
    with transaction.atomic():
        _lock_enabled(endpoint)
        _try_now(endpoint)
        # An event like others, so the test shows the same signature and retries.
        event = record_event(endpoint.tenant_id, EventType.WEBHOOK_TEST, endpoint)
        sent = WebhookDelivery.objects.create(endpoint=endpoint, event=event)
        by.audit("webhook_endpoint.tested", endpoint)
    return sent


def redeliver(sent: WebhookDelivery, *, by: Access) -> WebhookDelivery:
    """Send an event again, under its id, and return its delivery. One that waits is tried at once instead.

    Raises EndpointDisabled.
    """
    with transaction.atomic():
        endpoint = _lock_enabled(sent.endpoint)
        if WebhookDelivery.objects.pending().filter(pk=sent.pk).exists():
            _try_now(endpoint)  # with those before it: it waits behind them
            again = sent
            again.refresh_from_db()
        else:
            again = WebhookDelivery.objects.create(endpoint=endpoint, event=sent.event)
        by.audit("webhook_endpoint.redelivered", endpoint, after={"event": str(sent.event_id)})
    return again


def disable_endpoint(endpoint: WebhookEndpoint, *, by: Access) -> None:
    """Send an endpoint nothing until it is enabled again. Doing it twice does nothing."""
    with transaction.atomic():
        reason = DisabledReason.BY_PERSON(who=by.user.email) if by.user else DisabledReason.BY_KEY()
        if delivery.disable(endpoint, reason):
            by.audit("webhook_endpoint.disabled", endpoint)


def disable_by_operator(endpoint: WebhookEndpoint, reason: str) -> None:
    """Send an endpoint nothing until its workspace enables it again; its owners get the reason.

    The console writes the audit log. Raises DisabledAlready.
    """
    with transaction.atomic():
        told = DisabledReason.BY_OPERATOR(reason=reason)
        if not delivery.disable(endpoint, told):
            raise DisabledAlready
        record_event(endpoint.tenant_id, EventType.WEBHOOK_DISABLED, endpoint, reason=told)


def enable_endpoint(endpoint: WebhookEndpoint, *, by: Access) -> None:
    """Send an endpoint what happens from now on. Doing it twice does nothing."""
    with transaction.atomic():
        disabled = WebhookEndpoint.objects.filter(pk=endpoint.pk, is_enabled=False)
        if disabled.exists():
            # An event that was recorded while the endpoint was being disabled may have left a delivery.
            delivery.give_up_pending(endpoint)
        is_changed = disabled.update(
            is_enabled=True,
            disabled_at=None,
            disabled_reason=Message(),
            failing_since=None,
            changed_at=timezone.now(),
        )
        if is_changed:
            by.audit("webhook_endpoint.enabled", endpoint)
    endpoint.refresh_from_db()


def delete_endpoint(endpoint: WebhookEndpoint, *, by: Access) -> None:
    """Delete an endpoint with its deliveries; the events stay for the others."""
    with transaction.atomic():
        by.audit("webhook_endpoint.deleted", endpoint, before={"url": endpoint.shown_url})
        endpoint.delete()


def _check(*, url: str, event_types: Sequence[str]) -> None:
    transport.check_url(url, allows_loopback=settings.WEBHOOKS_TO_LOOPBACK)
    choosable = set(EventType.values).difference(NOT_CHOSEN)
    for event_type in event_types:
        if event_type not in choosable:
            raise UnknownEventType(event_type=event_type, field="event_types")


def _in_order(event_types: Sequence[str]) -> list[str]:
    """Return event types in the order of the documents, each once."""
    return [str(event_type) for event_type in EventType if event_type in event_types]


def _lock_endpoints(tenant: Tenant) -> None:
    """Let no other transaction count or name a workspace's endpoints at the same time."""
    locks.one_at_a_time(f"webhook endpoints of {tenant.pk}")


def _try_now(endpoint: WebhookEndpoint) -> None:
    """Let what waits for an endpoint be due now; its order stays."""
    pending = WebhookDelivery.objects.pending().filter(endpoint=endpoint)
    pending.update(next_attempt_at=timezone.now())


def _require_free_url(tenant: Tenant, url: str) -> None:
    if WebhookEndpoint.objects.filter(tenant=tenant, url=url).exists():
        raise UrlTaken(field="url")


def _lock_enabled(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    held = WebhookEndpoint.objects.select_for_update(no_key=True).filter(pk=endpoint.pk).first()
    if held is None or not held.is_enabled:
        raise EndpointDisabled
    return held
