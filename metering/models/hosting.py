"""Private styles that were hosted in a month: the proof of what an invoice asks for hosting."""

from django.db import models

from tenants.models.people import Tenant


class HostedStyle(models.Model):
    """A workspace's private style that an engine had loaded at some moment of a month; never changed."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="hosted_styles", verbose_name="workspace"
    )
    style = models.UUIDField()
    style_name = models.CharField(max_length=100)
    period = models.CharField(max_length=7, help_text="Month in UTC, such as 2026-11.")
    noted_at = models.DateTimeField(auto_now_add=True, help_text="When it was first hosted in that month.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["style", "period"], name="hosted_once_a_month")]
        indexes = [
            models.Index(fields=["tenant", "-period", "-id"], name="hosted_newest_of_tenant"),
            models.Index(fields=["-period", "-id"], name="hosted_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.style_name} in {self.period}"
