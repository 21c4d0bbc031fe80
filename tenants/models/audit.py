"""What people and programs did. A trigger refuses changes: the log is append-only."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from tenants.models.keys import ApiKey
from tenants.models.people import Tenant, User


class AuditEntry(models.Model):
    """One action on one row: by an operator, by a member of a workspace, or by a program with its key."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="audit_entries", help_text="Empty: a program."
    )
    api_key = models.ForeignKey(
        ApiKey,
        on_delete=models.PROTECT,
        null=True,
        related_name="audit_entries",
        help_text="The API key used.",
    )
    tenant = models.ForeignKey(
        Tenant,
        on_delete=models.PROTECT,
        null=True,
        related_name="audit_entries",
        help_text="The workspace whose log shows the entry. Empty: visible to operators only.",
    )
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60, help_text="The model, such as tenants.tenant.")
    object_id = models.CharField(max_length=100)
    object_name = models.CharField(max_length=200)
    reason = models.CharField(max_length=300, blank=True)
    before = models.JSONField(default=dict, encoder=DjangoJSONEncoder, help_text="What was changed.")
    after = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    address = models.GenericIPAddressField(null=True, help_text="Client IP address.")
    position = models.PositiveBigIntegerField(
        null=True,
        unique=True,
        editable=False,
        help_text="Position in the chain, starting at 1. Empty: not linked yet.",
    )
    previous_hash = models.CharField(max_length=64, blank=True, editable=False, db_default="")
    hash = models.CharField(
        max_length=64,
        blank=True,
        editable=False,
        db_default="",
        help_text="SHA-256 of the entry and the previous hash.",
    )

    class Meta:
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"
        indexes = [
            models.Index(fields=["object_type", "object_id"], name="audit_of_a_row"),
            models.Index(fields=["tenant", "-id"], name="audit_of_a_workspace"),
            models.Index(fields=["action", "-id"], name="audit_of_an_action"),
            models.Index(fields=["id"], condition=models.Q(position=None), name="audit_to_link"),
        ]

    def __str__(self) -> str:
        return f"{self.actor or self.api_key}: {self.action} {self.object_name}"


class AuditCheckpoint(models.Model):
    """Where the log begins since its oldest entries were pruned: the place and hash of the last of those."""

    at = models.DateTimeField(auto_now_add=True)
    position = models.PositiveBigIntegerField(unique=True)
    hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"entry {self.position}"
