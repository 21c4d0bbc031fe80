"""Blind votes: two versions answer one prompt, and a person says which wrote better before seeing names."""

from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from adapters.models.versions import AdapterVersion


class BlindVoteQuerySet(models.QuerySet["BlindVote"]):
    def open(self) -> "BlindVoteQuerySet":
        """Return rounds that were begun and wait for their vote."""
        return self.filter(choice="")


class BlindVote(models.Model):
    """One round: which version is on which side, and the vote. Prompt and answers are not kept."""

    class Choice(models.TextChoices):
        LEFT = "left"
        RIGHT = "right"
        TIE = "tie"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    # The index below begins with the workspace.
    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.CASCADE, related_name="blind_votes", db_index=False
    )
    voter = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    left = models.ForeignKey(AdapterVersion, on_delete=models.CASCADE, related_name="+")
    right = models.ForeignKey(AdapterVersion, on_delete=models.CASCADE, related_name="+")
    choice = models.CharField(max_length=5, choices=Choice, blank=True, help_text="Empty: no vote yet.")
    begun_at = models.DateTimeField(auto_now_add=True)
    voted_at = models.DateTimeField(null=True, blank=True)

    objects = BlindVoteQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "-begun_at", "-id"], name="vote_newest_of_tenant"),
            models.Index(fields=["begun_at"], name="vote_oldest"),  # for the pruning
        ]
        constraints = [models.CheckConstraint(condition=~Q(left=F("right")), name="vote_is_of_two")]

    def __str__(self) -> str:
        return f"{self.left_id} or {self.right_id}: {self.choice or 'open'}"

    def version_on(self, side: str) -> AdapterVersion:
        """Return the version on a side."""
        return self.left if side == self.Choice.LEFT else self.right
