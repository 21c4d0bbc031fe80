"""What is kept of a person apart from the account, so that the free plan is once a person and month.

A person is named by a digest of a normalised address (metering/persons.py), never by the address itself.
"""

from django.db import models

from tenants.models.people import Tenant


class FormerMember(models.Model):
    """A person who is no longer a member of a workspace. Authors' shares of that month look here.

    So does the free plan, for owners of workspaces that were deleted.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="former_members")
    person = models.CharField(max_length=64)
    was_owner = models.BooleanField(default=False, db_default=False)
    left_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["left_at"], name="former_members_oldest")]

    def __str__(self) -> str:
        return f"{self.person} until {self.left_at:%Y-%m-%d}"
