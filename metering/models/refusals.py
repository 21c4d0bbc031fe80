"""Refused requests. They cost nothing, so they are no usage: the log keeps them for two weeks."""

from django.db import models

from core.message_fields import MessageField
from tenants.models.keys import ApiKey
from tenants.models.people import Tenant


class RefusedRequest(models.Model):
    """One request that was not served, and why. What it asked is not kept."""

    request_id = models.CharField(max_length=40, unique=True)
    # The index below begins with the tenant.
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="refused_requests", db_index=False
    )
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="refused_requests")
    at = models.DateTimeField()
    model_name = models.CharField(max_length=100, blank=True, help_text="As requested, if the body was read.")
    status = models.PositiveSmallIntegerField(help_text="HTTP status.")
    code = models.CharField(max_length=60)
    reason = MessageField()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "-at", "-id"], name="refused_newest_of_tenant"),
            models.Index(fields=["at"], name="refused_oldest"),  # for the pruning
        ]

    def __str__(self) -> str:
        return f"{self.request_id}: {self.code}"
