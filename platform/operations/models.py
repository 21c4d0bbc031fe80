"""What operators' tools keep in the database: which workspace has the demo's sample data."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from tenants.models import Tenant


class SampleData(models.Model):
    """The demo's sample workspace, and the people who were made up for it.

    Its row stays after the removal, so that a later seed doesn't bring the data back.
    """

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, related_name="+")
    user_ids = ArrayField(models.BigIntegerField(), help_text="Accounts that nobody can log in to.")
    created_at = models.DateTimeField(auto_now_add=True)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "sample data"

    def __str__(self) -> str:
        return f"Sample data in {self.tenant}"
