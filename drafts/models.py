"""Drafts: texts that people write here, and snapshots of them."""

from uuid import uuid4

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.models import Tenant, User

MAX_TITLE = 200
MAX_MODEL = 200
MAX_CHARACTERS = 500_000  # of a text: a novel


class DraftQuerySet(models.QuerySet["Draft"]):
    def visible_to(self, tenant: Tenant, person: User | None) -> "DraftQuerySet":
        """Return a workspace's drafts that somebody may read: shared ones, and their own."""
        is_visible = models.Q(is_shared=True)
        if person is not None:
            is_visible |= models.Q(author=person)
        return self.filter(is_visible, tenant=tenant)


class Draft(models.Model):
    """A text. Each change of it has a number, so that the older of two tabs can't overwrite the newer one."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="drafts", verbose_name="workspace"
    )
    author = models.ForeignKey(
        User,
        on_delete=models.SET_NULL,
        null=True,
        related_name="drafts",
        help_text="Empty once the account is deleted.",
    )
    title = models.CharField(max_length=MAX_TITLE, blank=True)
    text = models.TextField(blank=True)
    words = models.PositiveIntegerField(default=0)
    model = models.CharField(max_length=MAX_MODEL, help_text="The style that suggestions are written in.")
    is_shared = models.BooleanField(default=False, help_text="Every member who writes can open it.")
    revision = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    objects = DraftQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["tenant", "-changed_at", "-id"], name="drafts_newest_of_tenant")]

    def __str__(self) -> str:
        return self.title or str(self.pk)


class DraftSnapshot(models.Model):
    """A draft's text at a moment, to return to. Those of accepted suggestions name what was accepted."""

    class Reason(models.TextChoices):
        """Why a snapshot was taken. Its text is the one before what the reason names."""

        ACCEPTED = "accepted", _("Before an accepted suggestion")
        SAVED = "saved", _("Saved by hand")
        RESTORED = "restored", _("Before a text was restored")
        OVERTAKEN = "overtaken", _("From another tab")

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    draft = models.ForeignKey(Draft, on_delete=models.CASCADE, related_name="snapshots", db_index=False)
    reason = models.CharField(max_length=20, choices=Reason)
    text = models.TextField(blank=True)
    words = models.PositiveIntegerField(default=0)
    has_text = models.BooleanField(default=True, help_text="Old ones keep only what was accepted.")
    passages = models.JSONField(
        default=list, blank=True, help_text="Accepted: request_id, model, text and receipt of each request."
    )
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["draft", "-created_at", "-id"], name="snapshots_newest_of_draft")]

    def __str__(self) -> str:
        return f"{self.draft_id} {self.created_at:%Y-%m-%d %H:%M}"
