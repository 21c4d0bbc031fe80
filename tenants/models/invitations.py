"""Invitations to a workspace. An open one is a row; joining and withdrawing delete it."""

from datetime import datetime
from uuid import uuid4

from django.db import models
from django.db.models.functions import Lower

from tenants.models.people import Membership, Tenant, User


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self, now: datetime) -> "InvitationQuerySet":
        """Return those that can be accepted at a moment."""
        return self.filter(expires_at__gt=now, tenant__deleted_at=None)


class Invitation(models.Model):
    """A place in a workspace, reserved for the owner of an email address."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField("e-mail")
    role = models.CharField(max_length=10, choices=Membership.Role, default=Membership.Role.MEMBER)
    invited_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    mailed_at = models.DateTimeField(
        null=True, editable=False, help_text="Empty: not accepted by the mail server yet."
    )
    expires_at = models.DateTimeField()

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", Lower("email"), name="one_invitation_per_address"),
        ]
        indexes = [models.Index(fields=["expires_at"], name="invitation_end")]

    def __str__(self) -> str:
        return self.email
