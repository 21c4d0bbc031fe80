"""Endpoints: make, edit, test, disable and delete them, replace their secrets, send a delivery again.

What pages and programs call. Each action is in the audit log; a secret is returned once and never again.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from core import locks
from core.errors import Conflict, Invalid
from core.messages import Message, MessageCode
from events.models import EventType, WebhookDelivery, WebhookEndpoint
from events.outbox import record_event
from events.webhooks import delivery, transport
from tenants.access import Access

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


class UrlTaken(Conflict):
    """There is already an endpoint with this URL. Edit it instead."""


class UnknownEventType(Invalid):
    """Unknown event type "{event_type}"."""


class EndpointDisabled(Conflict):
    """This endpoint is disabled. Enable it first."""


@transaction.atomic
def create_endpoint(
    by: Access, *, url: str, description: str = "", event_types: Sequence[str] = ()
) -> tuple[WebhookEndpoint, str]:
    """Return a new endpoint and its secret, which nobody can read again. No event types: all of them.

    Raises BadUrl, RefusedAddress, UnknownEventType, UrlTaken or TooManyEndpoints.
    """
    facts = _check({"url": url, "description": description, "event_types": event_types})
    own = _reserve_url(url, by=by)
    if own.count() >= MAX_ENDPOINTS:
        raise TooManyEndpoints(limit=MAX_ENDPOINTS)
    secret = delivery.new_secret()
    endpoint = own.create(
        tenant=by.tenant, **facts, sealed_secret=delivery.seal_secret(secret), created_by=by.user
    )
    by.audit("webhook_endpoint.created", endpoint, after={"url": endpoint.shown_url})
    return endpoint, secret


@transaction.atomic
def edit_endpoint(endpoint: WebhookEndpoint, *, by: Access, **changes: Any) -> None:
    """Change an endpoint's `url`, `description` or `event_types`; what waits goes to the new address.

    Raises what `create_endpoint` raises.
    """
    changes = {name: value for name, value in _check(changes).items() if value != getattr(endpoint, name)}
    if not changes:
        return
    before = _auditable(endpoint, changes)
    if "url" in changes:
        _reserve_url(changes["url"], by=by)
        _try_now(endpoint)  # what waits had failed at the old address
    for name, value in changes.items():
        setattr(endpoint, name, value)
    endpoint.save(update_fields=[*changes, "changed_at"])
    by.audit("webhook_endpoint.edited", endpoint, before=before, after=_auditable(endpoint, changes))


@transaction.atomic
def rotate_secret(endpoint: WebhookEndpoint, *, by: Access) -> str:
    """Return a new secret. For a day deliveries are signed with both; a secret before these two is gone."""
    secret = delivery.new_secret()
    endpoint.refresh_from_db(from_queryset=WebhookEndpoint.objects.select_for_update(no_key=True))
    endpoint.sealed_previous_secret = endpoint.sealed_secret
    endpoint.previous_secret_until = timezone.now() + PREVIOUS_SECRET_LIVES
    endpoint.sealed_secret = delivery.seal_secret(secret)
    endpoint.save(
        update_fields=["sealed_secret", "sealed_previous_secret", "previous_secret_until", "changed_at"]
    )
    by.audit("webhook_endpoint.secret_rotated", endpoint)
    return secret


def reseal_secrets(endpoint: WebhookEndpoint) -> None:
    """Encrypt an endpoint's secrets under the current pepper's key. Raises fernet.InvalidToken."""
    endpoint.sealed_secret = delivery.reseal_secret(endpoint.sealed_secret)
    if endpoint.sealed_previous_secret:
        endpoint.sealed_previous_secret = delivery.reseal_secret(endpoint.sealed_previous_secret)
    endpoint.save(update_fields=["sealed_secret", "sealed_previous_secret"])


@transaction.atomic
def send_test(endpoint: WebhookEndpoint, *, by: Access) -> WebhookDelivery:
    """Send an endpoint a `webhook.test` event at once, and return its delivery. Raises EndpointDisabled.

    It goes past what waits for its next attempt, which is tried after it: the server may be mended.
    """
    _lock_enabled(endpoint)
    _try_now(endpoint)
    # An event like others, so the test shows the same signature and retries.
    event = record_event(endpoint.tenant_id, EventType.WEBHOOK_TEST, endpoint)
    sent = WebhookDelivery.objects.create(endpoint=endpoint, event=event, is_test=True)
    by.audit("webhook_endpoint.tested", endpoint)
    return sent


@transaction.atomic
def redeliver(sent: WebhookDelivery, *, by: Access) -> WebhookDelivery:
    """Send an event again, under its id, and return its delivery. One that waits is tried at once instead.

    Raises EndpointDisabled.
    """
    _lock_enabled(sent.endpoint)
    if WebhookDelivery.objects.pending().filter(pk=sent.pk).exists():
        _try_now(sent.endpoint)  # with those before it: it waits behind them
        sent.refresh_from_db()
    else:
        sent = WebhookDelivery.objects.create(endpoint=sent.endpoint, event=sent.event, is_test=sent.is_test)
    by.audit("webhook_endpoint.redelivered", sent.endpoint, after={"event": str(sent.event_id)})
    return sent


@transaction.atomic
def disable_endpoint(endpoint: WebhookEndpoint, *, by: Access) -> None:
    """Send an endpoint nothing until it is enabled again. Doing it twice does nothing."""
    reason = DisabledReason.BY_PERSON(who=by.user.email) if by.user else DisabledReason.BY_KEY()
    if delivery.disable(endpoint, reason):
        by.audit("webhook_endpoint.disabled", endpoint)


@transaction.atomic
def disable_by_operator(endpoint: WebhookEndpoint, reason: str) -> None:
    """Send an endpoint nothing until its workspace enables it again; its owners get the reason.

    The console writes the audit log. Raises EndpointDisabled.
    """
    message = DisabledReason.BY_OPERATOR(reason=reason)
    if not delivery.disable(endpoint, message):
        raise EndpointDisabled(gettext("This endpoint is already disabled."))
    record_event(endpoint.tenant_id, EventType.WEBHOOK_DISABLED, endpoint, reason=message)


@transaction.atomic
def enable_endpoint(endpoint: WebhookEndpoint, *, by: Access) -> None:
    """Send an endpoint what happens from now on. Doing it twice does nothing."""
    is_changed = WebhookEndpoint.objects.filter(pk=endpoint.pk, is_enabled=False).update(
        is_enabled=True,
        disabled_at=None,
        disabled_reason=Message(),
        failing_since=None,
        changed_at=timezone.now(),
    )
    if is_changed:
        # An event that was recorded while the endpoint was being disabled may have left a delivery.
        delivery.give_up_pending(endpoint)
        by.audit("webhook_endpoint.enabled", endpoint)
    endpoint.refresh_from_db()


@transaction.atomic
def delete_endpoint(endpoint: WebhookEndpoint, *, by: Access) -> None:
    """Delete an endpoint with its deliveries; the events stay for the others."""
    by.audit("webhook_endpoint.deleted", endpoint, before={"url": endpoint.shown_url})
    endpoint.delete()


def _check(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what of an endpoint people set, with event types in the order of the documents, each once."""
    if "url" in facts:
        transport.check_url(facts["url"])
    if "event_types" in facts:
        for event_type in facts["event_types"]:
            if event_type not in EventType or event_type in NOT_CHOSEN:
                raise UnknownEventType(event_type=event_type, field="event_types")
        chosen = [str(event_type) for event_type in EventType if event_type in facts["event_types"]]
        facts = {**facts, "event_types": chosen}
    return facts


def _auditable(endpoint: WebhookEndpoint, names: Iterable[str]) -> dict[str, object]:
    """Return some fields for the audit log: of an address its host, for the rest is as good as a password."""
    return {name: endpoint.shown_url if name == "url" else getattr(endpoint, name) for name in names}


def _reserve_url(url: str, *, by: Access) -> QuerySet[WebhookEndpoint]:
    """Return a workspace's endpoints, of which none has a URL; nobody else counts or names any meanwhile."""
    locks.one_at_a_time(f"webhook endpoints of {by.tenant.pk}")
    own = WebhookEndpoint.objects.filter(tenant=by.tenant)
    if own.filter(url=url).exists():
        raise UrlTaken(field="url")
    return own


def _try_now(endpoint: WebhookEndpoint) -> None:
    """Let what waits for an endpoint be due now; its order stays."""
    pending = WebhookDelivery.objects.pending().filter(endpoint=endpoint)
    pending.update(next_attempt_at=timezone.now())


def _lock_enabled(endpoint: WebhookEndpoint) -> None:
    enabled = WebhookEndpoint.objects.filter(pk=endpoint.pk, is_enabled=True)
    if enabled.select_for_update(no_key=True).first() is None:
        raise EndpointDisabled
