"""Deliver events to endpoints: signed, in order an endpoint, at least once, for three days.

An endpoint's oldest pending delivery is the only one that is tried; later ones wait behind it. Tests stand
apart: they go at once, past what waits, and nothing waits behind them. A worker leases an endpoint
(core/outgoing.py). If it is killed, the delivery is made again: receivers know it by its id.

It is signed as https://www.standardwebhooks.com says. A signing secret must be used again with every
delivery, so a digest as for API keys won't do. core/sealing.py says under which key it is kept, and when it
can't be read any more.
"""

import base64
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from secrets import token_bytes

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext_noop as _
from django.utils.translation import override
from standardwebhooks import Webhook

from core.messages import Message, MessageCode
from core.outgoing import RetrySchedule, work_off
from core.sealing import reseal, seal, unseal
from events.models import EventType, OutboxEvent, WebhookDelivery, WebhookEndpoint
from events.outbox import payload_of, record_event
from events.webhooks import transport

RETRIES = RetrySchedule(
    (5, 60, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200), give_up_after=timedelta(days=3)
)
GONE = 410  # the receiver says that nothing will ever be taken there
SHOWN_ANSWER_BYTES = 2048

LEASE_LASTS = timedelta(seconds=60)  # longer than a turn and the attempt that runs when it ends
TURN_LASTS = timedelta(seconds=30)  # then another endpoint's turn, however much waits
RUN_LASTS = timedelta(seconds=60)  # of one task; beat sends the next one
# A workspace whose receivers are slow must not hold every thread of a worker.
MAX_LEASES_OF_A_TENANT = 3


class DeliveryFault(MessageCode):
    """Why an event was not taken, and why an endpoint gets no more."""

    FAILED_TOO_LONG = _("Deliveries failed for three days. Last error: {failure}")
    ANSWERED_GONE = _("It returned 410 Gone, which means it no longer accepts webhooks.")
    KEY_IS_MISSING = _(
        "Its secret can't be decrypted: the pepper it was stored under is no longer in the settings."
    )
    NEVER_SENT = _("The endpoint was disabled before this event was sent.")
    REDIRECT = _("It returned {status_code}, a redirect. We don't follow redirects; change the URL.")
    NOT_TAKEN = _("It returned {status_code}. Only 200 to 299 count as delivered.")


def queue_deliveries(event: OutboxEvent) -> None:
    """Write a delivery for each endpoint that wants an event, in the transaction that records it."""
    if event.type != EventType.WEBHOOK_TEST:  # that goes to one endpoint alone: see `endpoints.send_test`
        wanting = WebhookEndpoint.objects.filter(tenant=event.tenant_id).subscribed_to(event.type)
        WebhookDelivery.objects.bulk_create([WebhookDelivery(endpoint=one, event=event) for one in wanting])


def deliver_due(limits: transport.AttemptLimits = transport.LIMITS) -> int:
    """Deliver what is due, endpoint after endpoint, for a minute at most; return how many attempts were made.

    Safe to repeat, and safe from several workers at once.
    """
    return work_off(lease_next, partial(deliver_events, limits=limits), RUN_LASTS)


def count_due(at_most: int) -> int:
    """Return how many endpoints have something to get now."""
    return WebhookEndpoint.objects.due(timezone.now())[:at_most].count()


def lease_next() -> WebhookEndpoint | None:
    """Take the endpoint whose delivery has been due for longest, or return None when none is free."""
    now = timezone.now()
    leases = WebhookEndpoint.objects.leased(now).order_by().values("tenant")
    busy = leases.annotate(count=Count("pk")).filter(count__gte=MAX_LEASES_OF_A_TENANT).values("tenant")
    return WebhookEndpoint.objects.due(now).exclude(tenant__in=busy).lease_first(now, LEASE_LASTS)


def deliver_events(endpoint: WebhookEndpoint, limits: transport.AttemptLimits = transport.LIMITS) -> int:
    """Deliver a leased endpoint's events in order until one fails or its turn ends; return how many."""
    attempts = 0
    ends_at = timezone.now() + TURN_LASTS
    try:
        while timezone.now() < ends_at and (delivery := _next_delivery(endpoint)):
            attempts += 1
            if not attempt_delivery(delivery, limits):
                break
    finally:
        WebhookEndpoint.objects.release(endpoint)
    return attempts


def _next_delivery(leased: WebhookEndpoint) -> WebhookDelivery | None:
    """Return a test that is due, else the oldest pending delivery if it is due.

    None once the endpoint is disabled, or its lease another worker's. Each comes with the endpoint as it is
    now: its address may have been edited meanwhile.
    """
    now = timezone.now()
    held = WebhookEndpoint.objects.held(leased).filter(is_enabled=True)
    pending = WebhookDelivery.objects.pending().filter(endpoint__in=held)
    pending = pending.select_related("event", "endpoint").order_by("pk")
    test = pending.filter(is_test=True, next_attempt_at__lte=now).first()
    oldest = test or pending.filter(is_test=False).first()
    return oldest if oldest and oldest.next_attempt_at <= now else None


def attempt_delivery(delivery: WebhookDelivery, limits: transport.AttemptLimits) -> bool:
    """Send an event once and note the outcome; return whether the receiver took it.

    What failed is tried again later; an endpoint that is gone, or has failed for long, is disabled.
    """
    at = timezone.now()
    answer = _send(delivery, at, limits)
    failure = Message() if answer.is_success else _describe_failure(answer)
    outcome: dict[str, object] = {
        "attempts": delivery.attempts + 1,
        "attempted_at": at,
        "status_code": answer.status_code,
        "latency_ms": answer.latency_ms,
        # As text that PostgreSQL takes.
        "answer": answer.body[:SHOWN_ANSWER_BYTES].decode(errors="replace").replace("\0", "\ufffd"),
        "failure": failure,
    }
    if answer.is_success:
        outcome["status"] = WebhookDelivery.Status.DELIVERED
    else:
        outcome["next_attempt_at"] = RETRIES.next_attempt_at(timezone.now(), delivery.attempts + 1)
    with transaction.atomic():
        # Without the lease another worker has the endpoint: what it notes counts.
        endpoint = WebhookEndpoint.objects.held(delivery.endpoint).select_for_update(no_key=True).first()
        if endpoint is None:
            return False
        WebhookDelivery.objects.pending().filter(pk=delivery.pk).update(**outcome)
        failing_since = None if answer.is_success else endpoint.failing_since or at
        if failing_since != endpoint.failing_since:
            WebhookEndpoint.objects.filter(pk=endpoint.pk).update(failing_since=failing_since)
        reason = Message()
        if answer.status_code == GONE:
            reason = DeliveryFault.ANSWERED_GONE()
        elif failing_since and RETRIES.is_over(at, failing_since):
            reason = DeliveryFault.FAILED_TOO_LONG(failure=failure)
        if reason and disable(endpoint, reason):
            # Its other endpoints and its people hear of it; this one is disabled by now.
            record_event(endpoint.tenant_id, EventType.WEBHOOK_DISABLED, endpoint, reason=reason)
    return answer.is_success


def _send(
    delivery: WebhookDelivery, at: datetime, limits: transport.AttemptLimits
) -> transport.EndpointAnswer:
    """Sign an event with every secret that is in force, and send it."""
    event, endpoint = delivery.event, delivery.endpoint
    body = render_event(event)
    try:
        secrets = secrets_in_force(endpoint, at)
    except InvalidToken:
        return transport.EndpointAnswer(failure=DeliveryFault.KEY_IS_MISSING())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"Polyscribe-Webhooks/1.0 (+{settings.SITE_URL})",
        **sign(secrets, event_id=str(event.pk), at=at, body=body),
    }
    return transport.post(endpoint.url, body.encode(), headers, limits)


def render_event(event: OutboxEvent) -> str:
    """Return an event as receivers get it, the same each time."""
    with override("en"):
        return json.dumps(payload_of(event), cls=DjangoJSONEncoder, separators=(",", ":"), ensure_ascii=False)


def _describe_failure(answer: transport.EndpointAnswer) -> Message:
    """Return why an answer is no success."""
    if answer.status_code is None:
        return answer.failure
    is_redirect = 300 <= answer.status_code < 400
    fault = DeliveryFault.REDIRECT if is_redirect else DeliveryFault.NOT_TAKEN
    return fault(status_code=answer.status_code)


def disable(endpoint: WebhookEndpoint, reason: Message) -> bool:
    """Stop sending to an endpoint, and give up what waits; return False if it was disabled before.

    What was given up may be sent again one by one, once the endpoint is enabled.
    """
    with transaction.atomic():
        now = timezone.now()
        is_changed = WebhookEndpoint.objects.filter(pk=endpoint.pk, is_enabled=True).update(
            is_enabled=False, disabled_at=now, disabled_reason=reason, changed_at=now
        )
        if is_changed:
            give_up_pending(endpoint)
    endpoint.refresh_from_db()
    return bool(is_changed)


def give_up_pending(endpoint: WebhookEndpoint) -> None:
    """Mark as failed what waits for an endpoint that was disabled."""
    pending = WebhookDelivery.objects.pending().filter(endpoint=endpoint)
    pending.filter(failure=Message()).update(failure=DeliveryFault.NEVER_SENT())
    pending.update(status=WebhookDelivery.Status.FAILED)


SECRET_BYTES = 32  # the specification asks for 24 to 64
PURPOSE = b"polyscribe: secrets of webhooks"

seal_secret = partial(seal, purpose=PURPOSE)
unseal_secret = partial(unseal, purpose=PURPOSE)
reseal_secret = partial(reseal, purpose=PURPOSE)


def new_secret() -> str:
    """Return a new random secret."""
    return "whsec_" + base64.b64encode(token_bytes(SECRET_BYTES)).decode()


def secrets_in_force(endpoint: WebhookEndpoint, at: datetime) -> list[str]:
    """Return an endpoint's secret, and the one before it while its time lasts. Raises fernet.InvalidToken."""
    sealed = [endpoint.sealed_secret]
    if endpoint.previous_secret_until and at < endpoint.previous_secret_until:
        sealed.append(endpoint.sealed_previous_secret)
    return [unseal_secret(secret) for secret in sealed]


def sign(secrets: Sequence[str], *, event_id: str, at: datetime, body: str) -> dict[str, str]:
    """Return the three headers of a delivery, signed with each secret: while one is replaced, both verify."""
    signatures = [Webhook(secret).sign(event_id, at, body) for secret in secrets]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
