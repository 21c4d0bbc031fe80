"""What the ledger has of requests and trainings, and what still waits."""

import time
from typing import Any
from uuid import UUID

from django.db.models import Count, Sum

from adapters.models import AdapterVersion, Status
from core import months, valkey
from inference.tasks import drain
from labs.site.tenants import MEASURED
from metering.models import LedgerEntry, TrainingHold, UsageEvent
from tenants.models import Tenant
from training.models import Training

SETTLED_WITHIN_S = 20.0


def describe_trainings(*, ids: list[str]) -> list[dict[str, Any]]:
    """Return what is known of each training, in this order."""
    return [describe_training(Training.objects.get(pk=training_id)) for training_id in ids]


def describe_training(training: Training) -> dict[str, Any]:
    """Return a training's end, its losses as [step, kind, loss], its ledger entries as [tokens, nano-USD].

    `adapter` is the SHA-256 of the trained weights; `most_nanousd` was held.
    """
    losses: list[tuple[int, str, float]] = []
    for event in training.events.all():
        if event.training_loss is not None:
            losses.append((event.step, "training", event.training_loss))
        if event.validation_loss is not None:
            losses.append((event.step, "validation", event.validation_loss))
    charges = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.TRAINING, source_id=str(training.pk))
    hold = TrainingHold.objects.get(pk=training.pk)
    return {
        "id": str(training.pk),
        "status": training.status,
        "failure": str(training.failure),
        "losses": sorted(losses),
        "adapter": training.version.sha256 if training.version else "",
        "trained_tokens": training.trained_tokens,
        "charges": list(charges.values_list("tokens", "amount_nanousd")),
        "most_nanousd": hold.nanousd,
        "is_held": hold.settled_at is None,
    }


def drain_measured() -> dict[str, float]:
    """Return how many events the ledger has after a drain, how long that took, and what is still held."""
    tenant = Tenant.objects.get(slug=MEASURED)
    client = valkey.client()
    until = time.monotonic() + SETTLED_WITHIN_S
    while int(client.hget(valkey.bucket_key(tenant.pk), "open") or 0) and time.monotonic() < until:
        time.sleep(0.1)
    before = UsageEvent.objects.count()
    began = time.perf_counter()
    drain()
    elapsed_s = time.perf_counter() - began
    events = UsageEvent.objects.count()
    held = client.hget(valkey.account_key(tenant.pk, months.current()), "held")
    return {
        "events": events,
        "drained": events - before,
        "drain_s": elapsed_s,
        "held_tokens": int(held or 0),
        "open_requests": int(client.hget(valkey.bucket_key(tenant.pk), "open") or 0),
        "left_in_stream": client.xlen(valkey.usage_key()),
    }


def paid(*, tenants: list[str]) -> dict[str, int]:
    """Return the usage rows of some workspaces: how many, their tokens and their cost."""
    drain()
    rows = UsageEvent.objects.filter(tenant__in=[UUID(tenant) for tenant in tenants])
    sums = rows.aggregate(
        requests=Count("pk"),
        prompt_tokens=Sum("prompt_tokens", default=0),
        completion_tokens=Sum("completion_tokens", default=0),
        nanousd=Sum("cost_nanousd", default=0),
    )
    return {name: int(value) for name, value in sums.items()}


def unchecked(*, tenants: list[str]) -> int:
    """Return how many uploads of some workspaces wait for their check."""
    waiting = AdapterVersion.objects.filter(status=Status.UPLOADED)
    return waiting.filter(style__owner__in=[UUID(tenant) for tenant in tenants]).count()
