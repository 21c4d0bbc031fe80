"""What is kept of a person apart from the account, so that the free plan is once a person and month.

A person is named by a digest of a normalised address (metering/persons.py), never by the address itself.
"""

from django.db import models

from tenants.models.people import Tenant


class Founding(models.Model):
    """A workspace that a person founded lately; the rate of foundings counts these.

    Of a new person, who had none, it has where they came from, each as a digest.
    """

    person = models.CharField(max_length=64)
    domain = models.CharField(max_length=64, blank=True, default="", db_default="")
    network = models.CharField(max_length=64, blank=True, default="", db_default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["person", "created_at"], name="founding_of_person")]

    def __str__(self) -> str:
        return f"{self.person} at {self.created_at:%Y-%m-%d %H:%M}"


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
