"""What trainings of styles hold of a workspace's budget and credits, until their charge is in the ledger."""

from django.db import models
from django.db.models import Q

from tenants.models.people import Tenant


class TrainingHoldQuerySet(models.QuerySet["TrainingHold"]):
    def open(self) -> "TrainingHoldQuerySet":
        """Return the holds of trainings whose charge is not in the ledger yet."""
        return self.filter(settled_at=None)


class TrainingHold(models.Model):
    """The most that one training can cost, held from before its start until its end.

    It counts from the moment it is written. Only once it is confirmed may the training start
    (quota_sync/training_holds.py). The charge itself is a ledger entry with the training's id.
    """

    training = models.UUIDField(primary_key=True)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="training_holds", verbose_name="workspace"
    )
    token_nanousd = models.BigIntegerField("price per token", help_text="In effect when it was held.")
    most_tokens = models.BigIntegerField(help_text="It is never charged for more than these.")
    nanousd = models.BigIntegerField("amount held")
    period = models.CharField(max_length=7, help_text="Month (UTC) in which it was held, such as 2026-11.")
    created_at = models.DateTimeField(auto_now_add=True)
    confirmed_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was certain that nothing in flight exceeds what is left."
    )
    settled_at = models.DateTimeField(null=True, blank=True, help_text="When the training was charged.")

    objects = TrainingHoldQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(most_tokens__gte=0, token_nanousd__gte=0), name="held_tokens_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(nanousd=models.F("most_tokens") * models.F("token_nanousd")),
                name="held_at_the_price",
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-training"], name="training_holds_newest"),
            models.Index(
                fields=["tenant"], condition=Q(settled_at=None), name="open_training_holds_of_tenant"
            ),
        ]

    def __str__(self) -> str:
        return f"Training hold of {self.tenant}"
