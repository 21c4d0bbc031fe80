"""What operators did, and why. A trigger refuses changes: the log is append-only."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from tenants.models.people import User


class AuditEntry(models.Model):
    """One action of one operator on one row."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.ForeignKey(User, on_delete=models.PROTECT, related_name="audit_entries")
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60, help_text="The model, as tenants.tenant.")
    object_id = models.CharField(max_length=100)
    object_name = models.CharField(max_length=200)
    reason = models.CharField(max_length=300)
    before = models.JSONField(default=dict, encoder=DjangoJSONEncoder, help_text="What was changed.")
    after = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    address = models.GenericIPAddressField(null=True, help_text="From where it was done.")

    class Meta:
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"
        indexes = [models.Index(fields=["object_type", "object_id"], name="audit_of_a_row")]

    def __str__(self) -> str:
        return f"{self.actor}: {self.action} {self.object_name}"
