"""API keys, usage events, a clock, who acts, and browsers for tests of every room."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.workspaces import playground_key
from core import months
from events.models import EventType
from events.outbox import record_event
from keys import actions
from metering.ledger import Event
from metering.plans import limits_of
from metering.price_book import cost_nanousd
from tenants.access import Access
from tenants.models import ApiKey, Membership, Scope, Tenant, User

NOW = datetime(2026, 11, 12, 12, tzinfo=UTC)


def issue_key(
    tenant: Tenant,
    *,
    name: str,
    by: User | None,
    expires_at: datetime | None = None,
    scopes: Sequence[str] = (Scope.INFERENCE,),
    **limits: object,
) -> tuple[ApiKey, str]:
    """Return a key and its secret, without the rules of who may create one and when it ends."""
    with transaction.atomic():
        key, secret = actions._store_key(
            owner_of(tenant, by), name=name, expires_at=expires_at, scopes=sorted(set(scopes)), **limits
        )
        record_event(tenant.pk, EventType.KEY_CREATED, key)
    return key, secret


def owner_of(tenant: Tenant, user: User | None = None) -> Access:
    """Return the access of somebody who may do everything in a workspace."""
    return Access(tenant=tenant, user=user, role=Membership.Role.OWNER)


def make_event(tenant: Tenant, key: ApiKey | None = None, **facts: object) -> Event:
    """Return a usage event as the data plane makes it; facts that matter are given by name."""
    at = facts.get("admitted_at", NOW)
    prices = limits_of(tenant, at).prices
    tokens = {"prompt_tokens": 100, "cached_tokens": 20, "completion_tokens": 30}
    tokens |= {name: facts[name] for name in tokens.keys() & facts.keys()}
    tokens["cached_tokens"] = min(tokens["cached_tokens"], tokens["prompt_tokens"])
    usual = {
        "request_id": f"req_{uuid4().hex}",
        "tenant_id": tenant.pk,
        "key_id": (key or playground_key(tenant)).pk,
        "style": uuid4(),
        "style_name": "poetry",
        "version_number": 1,
        "adapter_sha256": "a" * 64,
        "base_model": "SmolLM2-135M-Instruct",
        "engine": "local",
        "period": months.period_of(at),
        "admitted_at": at,
        "finish_reason": "stop",
        "outcome": "complete",
        "input_nanousd": prices.input_nanousd,
        "cached_input_nanousd": prices.cached_input_nanousd,
        "output_nanousd": prices.output_nanousd,
        "cost_nanousd": cost_nanousd(prices, *tokens.values()),
    }
    return Event(**{**usual, **facts, **tokens})


@dataclass
class Clock:
    """What `timezone.now()` says: a moment that the test moves, a step later each time that it is asked."""

    # A minute ahead, because rows take their own defaults from the clock of the machine.
    at: datetime = field(default_factory=lambda: timezone.now() + timedelta(minutes=1))
    step: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        self.at += self.step
        return self.at

    def move(self, **span: float) -> None:
        self.at += timedelta(**span)


def browser_of(user: User) -> Client:
    """Return a browser in which a person is logged in."""
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


async def read_stream(answer) -> str:
    """Return the text of a streamed answer; with `async_to_sync`."""
    return b"".join([part async for part in answer]).decode()
