"""Rows for every list of the console, made from the models' own fields: a new model has some at once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.db.models import Field, Model
from django.utils import timezone

from accounts.workspaces import create_tenant
from adapters.errors import Finding
from adapters.models import AdapterVersion, Style
from core import months
from core.message_fields import MessageField
from core.messages import Message
from core.money import NANO
from metering.ledger import record_events
from metering.models import LedgerEntry, Subscription, UsageDaily, UsageEvent
from tenants.models import ApiKey, Membership, Tenant, User
from tests.adapters.builders import LAYERS, WIDTH, module_names
from tests.tenants.builders import issue_key, make_event

type Values = dict[str, Any]
LONG_TEXT = "A sentence that somebody wrote, long enough to reach the end of a narrow column "
# What a model's constraints or its pages want, instead of what its fields alone would get.
WANTED: dict[str, Callable[[int], Values]] = {
    "adapters.AdapterVersion": lambda n: {
        "status": "serving",
        "converted_from": None,
        "findings": [Finding("rank_too_high", {"rank": 256, "limit": 64})],
    },
    "adapters.BaseModel": lambda n: {
        "config": {"model_type": "llama", "num_hidden_layers": LAYERS, "torch_dtype": "bfloat16"},
        "modules": {name: {"out": WIDTH, "in": WIDTH, "norm": 8.0} for name in module_names()},
    },
    "adapters.Engine": lambda n: {"url": f"http://127.0.0.1:{9000 + n}", "max_lora_rank": 16},
    "adapters.Style": lambda n: {"live_version": None, "approved_version": None, "canary_version": None},
    "mfa.Authenticator": lambda n: {"type": Authenticator.Type.TOTP},
    "tenants.AuditEntry": lambda n: {
        "previous_hash": "",
        "hash": "",
        "before": {"name": "Acme"},
        "after": {"name": "Acme & Co"},
    },
    "metering.CreditGrant": lambda n: {"last_period": "", "amount_nanousd": NANO},
    "metering.Invoice": lambda n: {"state": "finalized", "number": 1000 + n, "total_nanousd": 9 * NANO},
    "events.OutboxEvent": lambda n: {"type": "webhook.test", "object": {}},
    "billing.Payment": lambda n: {"invoice": None, "amount_nanousd": 5 * NANO},
    "metering.TrainingHold": lambda n: {"token_nanousd": 3_000, "most_tokens": n, "nanousd": 3_000 * n},
    "tenants.User": lambda n: {"default_workspace": None},
    "events.WebhookEndpoint": lambda n: {"url": f"https://hooks.example.com/{n}", "sealed_secret": "none"},
}


class Rows:
    """Makes a number of rows of each model, and of what they refer to, once."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.made: dict[type[Model], list[Any]] = {}
        self._makers: dict[type[Model], Callable[[], list[Any]]] = {
            Tenant: self._make_tenants,
            Membership: lambda: list(Membership.objects.filter(tenant__in=self.of(Tenant))),
            Subscription: lambda: list(Subscription.objects.filter(tenant__in=self.of(Tenant))),
            ApiKey: self._make_keys,
            UsageEvent: self._make_events,
            UsageDaily: lambda: self.of(UsageEvent) and list(UsageDaily.objects.all()),
            LedgerEntry: lambda: self.of(UsageEvent) and list(LedgerEntry.objects.filter(kind="usage")),
        }

    def of_all_lists(self) -> None:
        """Make rows of every model that has a list."""
        for model in admin.site._registry:
            self.of(model)
        for style, version in zip(self.of(Style), self.of(AdapterVersion), strict=True):
            Style.objects.filter(pk=style.pk).update(live_version=version, offered_at=timezone.now())

    def of(self, model: type[Model]) -> list[Any]:
        """Return the rows of a model. Where two models refer to each other, the first one finds none."""
        if model not in self.made:
            self.made[model] = []
            maker = self._makers.get(model)
            self.made[model] = maker() if maker else self._make(model)
        return self.made[model]

    def _make(self, model: type[Model]) -> list[Any]:
        rows = [model(**self._values(model, number)) for number in range(self.count)]
        return model._base_manager.bulk_create(rows)

    def _values(self, model: type[Model], number: int) -> Values:
        wanted = WANTED.get(model._meta.label, lambda n: {})(number)
        values: Values = {}
        for field in model._meta.concrete_fields:
            if isinstance(field, MessageField) and field.name not in wanted:
                values[field.name] = Message.of(_text_of(field, number))
                continue
            is_automatic = field.has_default() or field.get_internal_type().endswith("AutoField")
            if field.name in wanted or is_automatic:
                continue
            if field.is_relation:
                rows = self.of(field.related_model)
                values[field.name] = rows[number % len(rows)] if rows else None
            elif not field.null:
                values[field.name] = _value_of(field, number)
        return values | wanted

    def _make_tenants(self) -> list[Tenant]:
        return [create_tenant(user, name=f"Workspace {user.pk}") for user in self.of(User)]

    def _make_keys(self) -> list[ApiKey]:
        return [issue_key(tenant, name="A laptop", by=None)[0] for tenant in self.of(Tenant)]

    def _make_events(self) -> list[UsageEvent]:
        now = timezone.now()
        pairs = list(zip(self.of(Tenant), self.of(ApiKey), strict=True))
        record_events(
            make_event(tenant, key, admitted_at=now - timedelta(seconds=number), style_name=f"style-{number}")
            for number, (tenant, key) in enumerate(pairs)
        )
        return list(UsageEvent.objects.all())


VALUES: dict[str, Callable[[int], Any]] = {
    "BooleanField": lambda number: False,
    "DateField": lambda number: timezone.localdate(),
    "DateTimeField": lambda number: timezone.now() - timedelta(minutes=number),
    "JSONField": lambda number: {},
    "UUIDField": lambda number: uuid4(),
}


def _value_of(field: "Field[Any, Any]", number: int) -> Any:
    """Return a value of a field without a default: another one than in each other row, where it is text."""
    kind = field.get_internal_type()
    if kind.endswith("IntegerField"):
        return number + 1
    return VALUES[kind](number) if kind in VALUES else _text_of(field, number)


def _text_of(field: "Field[Any, Any]", number: int) -> str:
    if field.choices:
        return next(str(value) for value, _ in field.flatchoices if value)
    if "period" in field.name:
        return months.current()
    if field.name == "email":
        return f"person-{number}@example.org"
    if field.unique or "Slug" in field.get_internal_type() or (field.max_length or 999) < 100:
        return f"{field.name.replace('_', '-')}-{number}"[: field.max_length]
    return f"{LONG_TEXT}{number}"[: field.max_length]
