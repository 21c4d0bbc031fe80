"""API keys. Only a digest of the secret is stored."""

import hmac
import re
import string
import zlib
from datetime import datetime, timedelta
from secrets import choice
from uuid import uuid4

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import BooleanField, Case, Count, Q, Value, When
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from core.money import usd
from core.names import validate_name
from core.peppers import current_pepper
from tenants.models.people import Tenant, User

PUBLISHED_AFTER_DEATH = timedelta(days=90)  # for so long the data plane says why a key stopped working

ENDS_SOON = timedelta(days=14)


class Scope(models.TextChoices):
    """What a key may do. The label is how people read it."""

    INFERENCE = "inference", _("Generate text with styles")
    STYLES_READ = "styles:read", _("View styles, versions and reports")
    STYLES_WRITE = "styles:write", _("Upload, edit, release, share and delete styles")
    KEYS_WRITE = "keys:write", _("View, create, limit and revoke API keys")
    USAGE_READ = "usage:read", _("View usage and the request log")
    BILLING_READ = "billing:read", _("View the plan, prices and spending")
    MEMBERS_WRITE = "members:write", _("View and manage members")
    DRAFTS_WRITE = "drafts:write", _("View, edit and delete your drafts")
    WEBHOOKS_WRITE = "webhooks:write", _("View and manage webhooks and their secrets")
    ADMIN = "admin", _("All of the above, and manage the workspace")


def default_scopes() -> list[str]:
    """Return the scopes of a key whose maker says nothing."""
    return [Scope.INFERENCE.value]


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def live(self, now: datetime) -> "ApiKeyQuerySet":
        """Return keys that are neither revoked nor expired at a moment."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)

    def published(self, now: datetime) -> "ApiKeyQuerySet":
        """Return keys that the data plane knows: live ones, and those that died not long ago.

        To it, a key that died earlier is an unknown one: else all that ever were would be published for ever.
        """
        before = now - PUBLISHED_AFTER_DEATH
        return self.filter(
            Q(expires_at=None) | Q(expires_at__gt=before), Q(revoked_at=None) | Q(revoked_at__gt=before)
        )

    def shown(self) -> "ApiKeyQuerySet":
        """Return the keys that people issued, newest first, without the studio's own key."""
        return self.exclude(digest=None).order_by("-created_at")

    def search(self, words: str) -> "ApiKeyQuerySet":
        """Return keys whose name has the words, or whose visible digits are these."""
        return self.filter(Q(name__icontains=words) | Q(last4=words) | Q(prefix=words)) if words else self

    def live_first(self, now: datetime) -> "ApiKeyQuerySet":
        """Return the keys with those above that are live at a moment, the newest first."""
        is_dead = When(Q(revoked_at__isnull=False) | Q(expires_at__lte=now), then=Value(True))
        dead_last = Case(is_dead, default=Value(False), output_field=BooleanField())
        return self.order_by(dead_last, "-created_at", "pk")


class ApiKey(models.Model):
    """A credential that a program sends to use a tenant's account."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="keys", verbose_name="workspace"
    )
    name = models.CharField(max_length=60, validators=[validate_name])
    digest = models.CharField(  # noqa: DJ001
        max_length=64,
        unique=True,
        null=True,
        editable=False,
        help_text="HMAC-SHA256 of the secret in hex; none for the studio's own key, which has no secret.",
    )
    pepper = models.PositiveSmallIntegerField(default=1, editable=False)
    prefix = models.CharField(max_length=16, blank=True, editable=False)
    last4 = models.CharField(max_length=4, blank=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=20, choices=Scope), default=default_scopes)
    styles = ArrayField(
        models.UUIDField(),
        null=True,
        blank=True,
        help_text="Only these styles. Empty: all styles of the workspace.",
    )
    monthly_tokens = models.BigIntegerField(
        null=True, blank=True, help_text="Monthly token limit of this key."
    )
    monthly_nanousd = models.BigIntegerField(null=True, blank=True, help_text="Monthly budget of this key.")
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)
    parallel_requests = models.PositiveIntegerField(null=True, blank=True)
    is_watermarked = models.BooleanField(
        default=True,
        db_default=True,
        help_text="Turn it off for text that only programs read.",
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    replaced_by = models.OneToOneField(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="replaces",
        help_text="The key that replaced it when it was rotated. This one expires a while later.",
    )
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        constraints = [
            models.UniqueConstraint(fields=["tenant"], condition=Q(digest=None), name="one_studio_key"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…{self.last4})" if self.digest else self.name

    @property
    def is_expired(self) -> bool:
        """True once the key has ended by itself."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def is_live(self) -> bool:
        """True while the key opens anything."""
        return self.revoked_at is None and not self.is_expired

    @property
    def ends_soon(self) -> bool:
        """True in a key's last two weeks: who uses it should rotate it or make another one."""
        return self.expires_at is not None and self.expires_at - timezone.now() < ENDS_SOON

    @property
    def own_limits(self) -> list[str]:
        """The key's own limits in short words, `$25.00 per month`; empty when it has none."""
        months, requests = self.monthly_tokens or 0, self.requests_per_minute or 0
        tokens, parallel = self.tokens_per_minute or 0, self.parallel_requests or 0
        styles = len(self.styles or ())
        counts = [
            (months, ngettext("{count} token per month", "{count} tokens per month", months)),
            (requests, ngettext("{count} request per minute", "{count} requests per minute", requests)),
            (tokens, ngettext("{count} token per minute", "{count} tokens per minute", tokens)),
            (parallel, ngettext("{count} concurrent request", "{count} concurrent requests", parallel)),
            (styles, ngettext("{count} style only", "{count} styles only", styles)),
        ]
        limits = [words.format(count=intcomma(count)) for count, words in counts if count]
        if self.monthly_nanousd is not None:
            limits.insert(0, gettext("{amount} per month").format(amount=usd(self.monthly_nanousd)))
        return limits


# The secrets of API keys: make one, and find the key that a secret belongs to.
#
# A secret is stored nowhere. It is `sk-ps-`, 30 random base62 digits, 6 base62 digits of their CRC-32. The
# check digits refuse garbage without a look-up and let leak scanners recognise keys. Only an HMAC-SHA256 of
# it under a numbered pepper is stored.

PREFIX = "sk-ps-"
BODY_DIGITS = 30
CHECK_DIGITS = 6
SHAPE = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{BODY_DIGITS}}})([0-9A-Za-z]{{{CHECK_DIGITS}}})")
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def find_live_key(secret: str) -> ApiKey | None:
    """Return the live key of a secret with its tenant, as PostgreSQL knows it; None where there is none."""
    if not is_well_formed(secret):
        return None
    live = ApiKey.objects.live(timezone.now()).select_related("tenant")
    return live.filter(digest__in=digest_by_peppers(secret)).first()


def verify_key(secret: str, tenant: Tenant) -> bool:
    """Return whether a secret is a live key of a tenant."""
    key = find_live_key(secret)
    return key is not None and key.tenant_id == tenant.pk


def peppers_in_use() -> dict[int, int]:
    """Return pepper's number → how many live keys are stored under it; the playground's have no secret."""
    live = ApiKey.objects.live(timezone.now()).exclude(digest=None)
    return dict(live.order_by().values_list("pepper").annotate(Count("pk")))


def new_secret() -> str:
    """Return a new random secret (178 bits)."""
    body = "".join(choice(BASE62) for _ in range(BODY_DIGITS))
    return PREFIX + body + check_digits(body)


def is_well_formed(secret: str) -> bool:
    """Return whether a text has a key's shape and the right check digits; the key may not exist."""
    match = SHAPE.fullmatch(secret)
    return match is not None and check_digits(match[1]) == match[2]


def check_digits(body: str) -> str:
    """Return the CRC-32 of a secret's random part as six base62 digits."""
    rest = zlib.crc32(body.encode())
    digits = ""
    while len(digits) < CHECK_DIGITS:
        rest, digit = divmod(rest, len(BASE62))
        digits = BASE62[digit] + digits
    return digits


def digest_key(secret: str, pepper_number: int | None = None) -> str:
    """Return the HMAC-SHA256 of a secret in hex, under the current pepper or the given one.

    Raises KeyError for a pepper that API_KEY_PEPPERS no longer holds.
    """
    number = current_pepper() if pepper_number is None else pepper_number
    return hmac.digest(settings.API_KEY_PEPPERS[number], secret.encode(), "sha256").hex()


def digest_by_peppers(secret: str) -> list[str]:
    """Return a secret's digests under every pepper, newest first: a key may be older than the newest one."""
    peppers = settings.API_KEY_PEPPERS
    numbers = sorted(peppers, reverse=True)
    return [hmac.digest(peppers[number], secret.encode(), "sha256").hex() for number in numbers]
