"""Tell what became of trainings: their losses, what came of them, and what they were charged."""

from typing import Any

from metering.models import LedgerEntry, TrainingHold
from training.models import Training


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
