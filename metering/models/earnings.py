"""What authors of public styles earn by other workspaces' usage."""

from django.db import models

from tenants.models.people import Tenant


class AuthorEarning(models.Model):
    """An author's share of a workspace's usage of a style on a UTC day, written with that usage."""

    author = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="earnings")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", help_text="Who used it.")
    style = models.UUIDField()
    style_name = models.CharField(max_length=100)
    day = models.DateField()
    requests = models.BigIntegerField()
    tokens = models.BigIntegerField()
    cost_nanousd = models.BigIntegerField(help_text="Of the usage.")
    share_nanousd = models.BigIntegerField(help_text="Percentage of each request's cost, rounded down.")
    earned_nanousd = models.BigIntegerField(
        null=True, help_text="The earned part of the share, from paid usage. Empty: not decided yet."
    )
    shares_member = models.BooleanField(
        default=False, db_default=False, help_text="The two workspaces had a member in common in that month."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["author", "day", "style", "tenant"], name="one_earning_a_day"),
        ]
        indexes = [models.Index(fields=["-day", "-id"], name="earnings_newest")]

    def __str__(self) -> str:
        return f"{self.style_name} on {self.day}"
