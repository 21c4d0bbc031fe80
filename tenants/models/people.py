"""Users, tenants and their members."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from core.names import validate_name

GONE_DOMAIN = "deleted.invalid"  # of deleted accounts; no mail can be sent there (RFC 2606)


class UserManager(BaseUserManager["User"]):
    """Creates users by e-mail address; there are no user names."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Return a new saved user."""
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Return a new saved operator who has every right."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class Language(models.TextChoices):
    """What a person reads Polyscribe in."""

    BROWSER = "", _("Browser default")
    ENGLISH = "en", "English"
    GERMAN = "de", "Deutsch"


class User(AbstractUser):
    """A person who logs in."""

    username = None  # type: ignore[assignment]
    email = models.EmailField("e-mail", unique=True)
    first_name = models.CharField(_("first name"), max_length=150, blank=True, validators=[validate_name])
    last_name = models.CharField(_("last name"), max_length=150, blank=True, validators=[validate_name])
    review_keys_since = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When the password was reset or the email address changed. Empty once reviewed.",
    )

    default_workspace = models.ForeignKey(
        "tenants.Tenant",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        help_text="The most recently opened workspace. The next session starts there.",
    )
    language = models.CharField(
        max_length=8,
        choices=Language,
        default=Language.BROWSER,
        blank=True,
        help_text="Language of pages and emails.",
    )

    person = models.CharField(
        max_length=64,
        blank=True,
        db_default="",
        default="",
        editable=False,
        help_text="Who it is to the free plan (tenants/persons.py), once the address has changed.",
    )

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()  # type: ignore[misc, assignment]

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="one_user_per_address")]

    @property
    def mail_language(self) -> str:
        """The code of the language that mail to this person is in: the chosen one, else the site's."""
        return self.language if self.language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


class TenantQuerySet(models.QuerySet["Tenant"]):
    def of(self, user: User) -> "TenantQuerySet":
        """Return the tenants that a user belongs to, oldest first; deleted ones are left out."""
        return self.filter(memberships__user=user, deleted_at=None).order_by("created_at")

    def stale(self) -> "TenantQuerySet":
        """Return tenants whose limits, keys or styles changed since the last publishing."""
        return self.filter(generation__gt=models.F("observed_generation"))


RESPONSE_DAYS = (1, 7, 30)  # for which a workspace may have its responses stored


class Tenant(models.Model):
    """A customer: one writer or one team. Owns styles, keys, usage and invoices."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    slug = models.SlugField(max_length=40, unique=True, help_text="Prefix of its styles: acme/brand-voice.")
    name = models.CharField(max_length=80, validators=[validate_name])
    is_first_party = models.BooleanField(
        default=False, help_text="Owns the public styles that have no prefix."
    )
    monthly_nanousd = models.BigIntegerField(
        null=True, blank=True, help_text="Its own monthly budget. Empty: only the plan's cap applies."
    )
    unpaid_cap_nanousd = models.BigIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="How much usage beyond the included tokens may be unpaid until it pays its first invoice. "
        "Also lets it choose a plan that invoices usage before any payment. Empty: MAX_UNPAID_USD.",
    )
    default_style = models.UUIDField(
        null=True,
        blank=True,
        editable=False,
        help_text="Default style of the playground and code samples.",
    )
    is_watermarked = models.BooleanField(
        default=True,
        db_default=True,
        editable=False,
        help_text="Whether its answers are watermarked, where the service allows to turn that off.",
    )
    responses_kept_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        editable=False,
        help_text="How long responses and conversations are stored, in days. Empty: they are not stored.",
    )
    responses_kept_since = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="What was stored before this is never readable again, however the days are changed.",
    )
    key_limits = models.JSONField(
        null=True, blank=True, editable=False, help_text="Default limits of new API keys."
    )
    key_lifetime_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        default=365,
        editable=False,
        help_text="Default lifetime of new API keys, in days. Empty: no expiration.",
    )
    suspended_at = models.DateTimeField(null=True, blank=True)
    suspended_reason = models.CharField(
        max_length=300, blank=True, db_default="", editable=False, help_text="Visible to members."
    )
    deletion_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="Scheduled deletion, requested by an owner. Any owner can cancel it until then.",
    )
    deletion_asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        help_text="Who requested it. Empty: an API key or operators.",
    )
    deleted_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When it was deleted. It can no longer be used, and its styles are being erased.",
    )
    erased_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the last file of its styles was erased."
    )
    # Counted up in the same transaction as any change that the quota snapshot must show.
    generation = models.PositiveBigIntegerField(default=1, editable=False)
    observed_generation = models.PositiveBigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = "workspace"
        constraints = [
            models.UniqueConstraint(
                fields=["is_first_party"],
                condition=models.Q(is_first_party=True),
                name="one_first_party_tenant",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def may_choose_watermark(self) -> bool:
        """Whether the operator leaves it to the workspace."""
        return bool(settings.WATERMARK == "on")

    @property
    def is_text_marked(self) -> bool:
        """Whether its text is watermarked, unless an API key or a request says otherwise."""
        is_chosen = self.is_watermarked if self.may_choose_watermark else settings.WATERMARK == "required"
        return bool(is_chosen and settings.WATERMARK_KEYS)


class MembershipQuerySet(models.QuerySet["Membership"]):
    def getting(self, kind: str) -> "MembershipQuerySet":
        """Return the members who get notices of a kind, whose accounts are in use."""
        return self.filter(user__is_active=True).exclude(muted_notices__contains=[kind])

    def open_to(self, user: User) -> "MembershipQuerySet":
        """Return a person's memberships of workspaces that are not deleted, the oldest workspace first."""
        own = self.filter(user=user, tenant__deleted_at=None)
        return own.select_related("tenant").order_by("tenant__created_at")


class Membership(models.Model):
    """A user's place in a tenant."""

    class Role(models.TextChoices):
        OWNER = "owner", _("Owner")
        ADMIN = "admin", _("Admin")
        MEMBER = "member", _("Member")
        BILLING = "billing", _("Billing manager")
        VIEWER = "viewer", _("Viewer")

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.MEMBER)
    muted_notices = ArrayField(
        models.CharField(max_length=20),
        default=list,
        blank=True,
        editable=False,
        help_text="Kinds of notices the member switched off for this workspace.",
    )
    steps_hidden_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the member dismissed the next steps on Home."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When the member last opened a page of the workspace.",
    )

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "user"], name="one_membership")]

    def __str__(self) -> str:
        return f"{self.user} in {self.tenant}"


# What is kept of a person apart from the account, so that the free plan is once a person and month.
#
# A person is named by a digest of a normalised address (tenants/persons.py), never by the address itself.


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


# Invitations to a workspace. An open one is a row; joining and withdrawing delete it.


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
