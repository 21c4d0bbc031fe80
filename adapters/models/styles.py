"""Writing styles: what tenants name in `model=`."""

from datetime import datetime
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.message_fields import MessageField
from metering.models import TokenPrices

REVIEWED_WORDS = ("name", "description", "sample_prompt")
SLUG_CHARACTERS = 40
TAG_CHARACTERS = 30
# The columns are as wide; that of the licence, a text, is bounded by what reads it.
WORDS_CHARACTERS = {
    "name": 60,
    "author": 100,
    "description": 300,
    "sample_prompt": 300,
    "sample": 500,
    "licence": 4000,
}


def is_public_now(style: str = "") -> Q:
    """Return the condition that a style is in the catalogue at this moment; `style` is the path to it."""
    stays = Q(**{f"{style}public_until": None}) | Q(**{f"{style}public_until__gt": Now()})
    return Q(**{f"{style}is_public": True}) & stays


def is_reviewed_for(tenant_id: UUID | None) -> Q:
    """Return the condition that a tenant, or a stranger, gets of a style only what operators approved."""
    others = Q(is_public=True, owner__is_first_party=False)
    return others & ~Q(owner=tenant_id) if tenant_id else others


def model_name_of(slug: str, owner_slug: str, *, is_first_party: bool) -> str:
    """Return what goes into `model=` for a style: its slug, behind its owner's but for first-party styles."""
    return slug if is_first_party else f"{owner_slug}/{slug}"


class StyleQuerySet(models.QuerySet["Style"]):
    def lock(self, style_id: UUID) -> "Style":
        """Return a style with its owner; nobody else changes it until the transaction ends."""
        rows = self.select_for_update(no_key=True, of=("self",)).select_related("owner")
        return rows.get(pk=style_id)

    def visible_to(self, tenant_id: UUID) -> "StyleQuerySet":
        """Return a tenant's own styles, those that are shared with it, and all public ones."""
        shared = Share.objects.in_force().filter(tenant=tenant_id).values("style")
        visible = Q(owner=tenant_id) | is_public_now() | Q(pk__in=shared)
        return self.filter(visible, retired_at=None).select_related("owner")

    def selectable_by(self, tenant_id: UUID) -> "StyleQuerySet":
        """Return the styles that a tenant may select: not those that are being taken back."""
        shared = Share.objects.filter(tenant=tenant_id, ends_at=None).values("style")
        offered = Q(is_public=True, public_until=None) | Q(pk__in=shared)
        return self.filter(offered, retired_at=None, suspended_at=None).select_related("owner")

    def usable_by(self, tenant_id: UUID) -> "StyleQuerySet":
        """Return what a tenant may name in `model=`: its own styles, and those it selected and may use."""
        selected = Selection.objects.in_force().filter(tenant=tenant_id).values("style")
        return self.filter(Q(owner=tenant_id) | Q(pk__in=selected), retired_at=None).select_related("owner")

    def answering(self, tenant_id: UUID | None) -> "StyleQuerySet":
        """Return styles of which a version answers a tenant, or could answer a stranger; no suspended one."""
        reviewed = is_reviewed_for(tenant_id)
        approved = reviewed & Q(approved_version__isnull=False)
        return self.filter(approved | ~reviewed & Q(live_version__isnull=False), suspended_at=None)

    def offered(self) -> "StyleQuerySet":
        """Return styles that wait for an operator's approval, oldest first."""
        return self.filter(offered_at__isnull=False, is_public=False, retired_at=None).order_by("offered_at")

    def changed(self) -> "StyleQuerySet":
        """Return public styles of which others don't have the newest: it waits for an operator's approval.

        One that was declined does not wait until it changes again.
        """
        version_waits = Q(live_version__isnull=False, live_version__approved_at=None)
        words_wait = Q()
        for field in REVIEWED_WORDS:
            words_wait |= ~Q(**{field: models.F(f"approved_{field}")})
        declined = Q(declined_at__gte=Coalesce("changed_at", "created_at"))
        public = self.filter(is_public=True, owner__is_first_party=False, retired_at=None)
        return public.filter(version_waits | words_wait).exclude(declined).order_by("changed_at")

    def leaving_now(self) -> "StyleQuerySet":
        """Return public styles whose notice is over."""
        return self.filter(is_public=True, public_until__lte=Now()).select_related("owner")

    def stale(self) -> "StyleQuerySet":
        """Return styles of which names, versions or their engines changed since they were last published."""
        return self.filter(generation__gt=models.F("observed_generation"))


class Style(models.Model):
    """A writing style. Its versions are adapters; `live_version` answers, `canary_version` a share of it."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    owner = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="styles")
    slug = models.SlugField(max_length=SLUG_CHARACTERS, help_text="What programs write in `model=`.")
    name = models.CharField(max_length=WORDS_CHARACTERS["name"])
    description = models.CharField(max_length=WORDS_CHARACTERS["description"], blank=True)
    sample_prompt = models.CharField(max_length=WORDS_CHARACTERS["sample_prompt"], blank=True)
    sample = models.CharField(
        max_length=WORDS_CHARACTERS["sample"], blank=True, help_text="A sample of the style's writing."
    )
    base_model = models.ForeignKey("adapters.BaseModel", on_delete=models.PROTECT, related_name="styles")
    author = models.CharField(
        max_length=WORDS_CHARACTERS["author"], blank=True, help_text="Who trained the style. Shown publicly."
    )
    licence = models.TextField(
        max_length=WORDS_CHARACTERS["licence"],
        blank=True,
        help_text="The terms under which others may use the style.",
    )
    tags = ArrayField(
        models.CharField(max_length=TAG_CHARACTERS),
        default=list,
        blank=True,
        help_text="What the style is for: lowercase letters, digits and hyphens.",
    )
    language = models.CharField(max_length=10, blank=True, help_text="Language code, such as en or pt-br.")
    test_prompts = models.TextField(
        max_length=4000, blank=True, help_text="The owner's prompts for comparing versions, one per line."
    )
    temperature = models.FloatField(
        null=True, blank=True, help_text="Of requests that send none. Empty: the installation's default."
    )
    top_p = models.FloatField(
        null=True, blank=True, help_text="Of requests that send none. Empty: the installation's default."
    )
    is_public = models.BooleanField(default=False, help_text="Listed in the public catalogue.")
    public_since = models.DateTimeField(null=True, blank=True, editable=False)
    offered_at = models.DateTimeField(
        null=True, blank=True, help_text="When the owner offered it to the catalogue."
    )
    # What its owner asks for with the offer; operators agree by approving it: see catalog/terms.py.
    asked_input_nanousd = models.BigIntegerField(null=True, blank=True, help_text="Per token, in nano-USD.")
    asked_cached_input_nanousd = models.BigIntegerField(null=True, blank=True)
    asked_output_nanousd = models.BigIntegerField(null=True, blank=True)
    asked_author_percent = models.PositiveSmallIntegerField(
        default=0, help_text="Percentage of what other workspaces pay."
    )
    declined_reason = models.CharField(
        max_length=300, blank=True, help_text="Why it is not in the catalogue. Visible to the owner."
    )
    public_until = models.DateTimeField(
        null=True, blank=True, help_text="When the style leaves the catalogue."
    )
    # What others get of a public style while a change of it waits for an operator; see review.py.
    approved_version = models.ForeignKey(
        "adapters.AdapterVersion", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    approved_name = models.CharField(max_length=WORDS_CHARACTERS["name"], blank=True)
    approved_description = models.CharField(max_length=WORDS_CHARACTERS["description"], blank=True)
    approved_sample_prompt = models.CharField(max_length=WORDS_CHARACTERS["sample_prompt"], blank=True)
    approved_sample = models.CharField(max_length=WORDS_CHARACTERS["sample"], blank=True)
    changed_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When its texts or its live version last changed."
    )
    declined_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When an operator last declined its texts."
    )
    live_version = models.ForeignKey(
        "adapters.AdapterVersion", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    canary_version = models.ForeignKey(
        "adapters.AdapterVersion", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    canary_percent = models.PositiveSmallIntegerField(default=0, help_text="Percentage of requests, 1 to 99.")
    canary_since = models.DateTimeField(null=True, blank=True)
    # Counted up in the same transaction as any change of where its names lead, or its versions are.
    generation = models.PositiveBigIntegerField(default=0, editable=False)
    observed_generation = models.PositiveBigIntegerField(default=0, editable=False)
    retired_at = models.DateTimeField(null=True, blank=True)
    suspended_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When operators suspended it.",
    )
    suspended_reason = models.CharField(
        max_length=300, blank=True, db_default="", editable=False, help_text="Visible to the owner."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = StyleQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="style_newest_of_owner"),
            GinIndex(fields=["tags"], name="style_tags"),
        ]
        constraints = [
            models.UniqueConstraint("owner", "slug", name="one_slug_an_owner"),
            models.CheckConstraint(
                condition=Q(canary_version=None, canary_percent=0) | Q(canary_percent__range=(1, 99)),
                name="canary_has_a_share",
            ),
            models.CheckConstraint(
                condition=Q(
                    asked_input_nanousd=None, asked_cached_input_nanousd=None, asked_output_nanousd=None
                )
                | Q(
                    asked_input_nanousd__gte=0,
                    asked_cached_input_nanousd__gte=0,
                    asked_output_nanousd__gte=0,
                ),
                name="asked_prices_are_three",
            ),
            models.CheckConstraint(condition=Q(asked_author_percent__lte=100), name="asked_share_in_percent"),
        ]

    def __str__(self) -> str:
        return self.model_name

    @property
    def model_name(self) -> str:
        """What goes into `model=`: `poetry` for first-party styles, `acme/brand-voice` for a tenant's."""
        return model_name_of(self.slug, self.owner.slug, is_first_party=self.owner.is_first_party)

    @property
    def default_temperature(self) -> float:
        """What a request is drawn with that sends no `temperature`."""
        return settings.STYLE_TEMPERATURE if self.temperature is None else self.temperature

    @property
    def default_top_p(self) -> float:
        """What a request is drawn with that sends no `top_p`."""
        return settings.STYLE_TOP_P if self.top_p is None else self.top_p

    @property
    def is_reviewed(self) -> bool:
        """Whether others get of it only what operators approved: it is public, and not first party."""
        return self.is_public and not self.owner.is_first_party

    def show_to(self, tenant_id: UUID | None) -> "Style":
        """Return the style with the words and version that a tenant, or a stranger, gets: never save it."""
        if self.is_reviewed and tenant_id != self.owner_id:
            self.live_version = self.approved_version
            for field in (*REVIEWED_WORDS, "sample"):
                setattr(self, field, getattr(self, f"approved_{field}"))
        return self


class SelectionQuerySet(models.QuerySet["Selection"]):
    def in_force(self) -> "SelectionQuerySet":
        """Return selections of styles that their tenants may still use: routes are made from these."""
        shares = Share.objects.in_force().filter(style=OuterRef("style"), tenant=OuterRef("tenant"))
        return self.filter(is_public_now("style__") | Exists(shares))


class Selection(models.Model):
    """A public or shared style that a tenant has taken into its library."""

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="selections")
    style = models.ForeignKey(Style, on_delete=models.CASCADE, related_name="selections")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SelectionQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "style", name="one_selection")]

    def __str__(self) -> str:
        return f"{self.tenant_id} uses {self.style_id}"


class Favourite(models.Model):
    """A style that a person keeps in sight, whatever their workspaces have selected."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="favourites")
    style = models.ForeignKey(Style, on_delete=models.CASCADE, related_name="favourites")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint("user", "style", name="one_favourite")]

    def __str__(self) -> str:
        return f"{self.user_id} likes {self.style_id}"


class ShareQuerySet(models.QuerySet["Share"]):
    def in_force(self) -> "ShareQuerySet":
        """Return shares that have not ended, also those under notice."""
        return self.filter(Q(ends_at=None) | Q(ends_at__gt=Now()))

    def over(self) -> "ShareQuerySet":
        """Return shares whose notice is over."""
        return self.filter(ends_at__lte=Now())


class Share(models.Model):
    """A style that its owner lets a named tenant use, until it is revoked and the notice is over."""

    style = models.ForeignKey(Style, on_delete=models.CASCADE, related_name="shares")
    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.CASCADE, related_name="shares", verbose_name="workspace"
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    ends_at = models.DateTimeField(null=True, blank=True, help_text="When access ends, once revoked.")

    objects = ShareQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("style", "tenant", name="one_share")]

    def __str__(self) -> str:
        return f"{self.style} for {self.tenant}"


class Release(models.Model):
    """One move of an alias, append-only: a style's release history."""

    class Alias(models.TextChoices):
        LIVE = "live"
        CANARY = "canary"

    style = models.ForeignKey(Style, on_delete=models.CASCADE, related_name="releases")
    alias = models.CharField(max_length=8, choices=Alias)
    before = models.ForeignKey(
        "adapters.AdapterVersion", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    after = models.ForeignKey(
        "adapters.AdapterVersion", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    percent = models.PositiveSmallIntegerField(default=0, help_text="The canary's share.")
    reason = MessageField()
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        help_text="Empty: automatic, or by a program.",
    )
    api_key = models.ForeignKey(
        "tenants.ApiKey",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The API key used.",
    )
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.style}: {self.sentence}"

    @property
    def sentence(self) -> str:
        """What moved, as a sentence for people."""
        numbers = {"before": self.before and self.before.number, "after": self.after and self.after.number}
        if self.alias == self.Alias.CANARY:
            if self.after:
                sentence = gettext("Version {after} gets {percent}% of requests")
                return sentence.format(percent=self.percent, **numbers)
            return gettext("The canary, version {before}, ended").format(**numbers)
        if not self.after:
            return gettext("No live version")
        if self.before:
            return gettext("Version {after} replaced version {before}").format(**numbers)
        return gettext("Version {after} went live").format(**numbers)


# New prices and shares of public styles: asked for by their owners, agreed by operators, then announced.


class PriceChangeQuerySet(models.QuerySet["PriceChange"]):
    def waiting(self) -> "PriceChangeQuerySet":
        """Return what operators have not answered, the oldest first."""
        return self.filter(state=PriceChange.State.WAITING).order_by("asked_at")

    def untold(self) -> "PriceChangeQuerySet":
        """Return what is agreed, and those who selected the style do not know it yet."""
        return self.filter(state=PriceChange.State.AGREED, announced_at=None).order_by("effective_from", "pk")

    def open(self, now: datetime) -> "PriceChangeQuerySet":
        """Return what waits, or is agreed and does not count yet: a style has one at most."""
        ahead = Q(state=PriceChange.State.AGREED, effective_from__gt=now)
        return self.filter(Q(state=PriceChange.State.WAITING) | ahead)


class PriceChange(models.Model):
    """Other prices, or another share, of one style. Its price is added when it is announced."""

    class State(models.TextChoices):
        WAITING = "waiting", _("pending approval")
        AGREED = "agreed", _("approved")
        DECLINED = "declined", _("Declined")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    style = models.ForeignKey(Style, on_delete=models.CASCADE, related_name="price_changes")
    input_nanousd = models.BigIntegerField(
        null=True, blank=True, help_text="Per token. Empty: the standard price."
    )
    cached_input_nanousd = models.BigIntegerField(null=True, blank=True)
    output_nanousd = models.BigIntegerField(null=True, blank=True)
    author_percent = models.PositiveSmallIntegerField(
        default=0, help_text="Percentage of what other workspaces pay."
    )
    first_day = models.DateField(help_text="Requested start date (UTC).")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    asked_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True, editable=False)
    reason = models.CharField(max_length=300, blank=True, help_text="Reason for declining.")
    effective_from = models.DateTimeField(null=True, blank=True, help_text="Effective date, once approved.")
    announced_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When workspaces that selected the style were notified.",
    )

    objects = PriceChangeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(input_nanousd=None, cached_input_nanousd=None, output_nanousd=None)
                | Q(input_nanousd__gte=0, cached_input_nanousd__gte=0, output_nanousd__gte=0),
                name="changed_prices_are_three",
            ),
            models.CheckConstraint(condition=Q(author_percent__lte=100), name="changed_share_in_percent"),
        ]
        ordering = ["-asked_at"]

    def __str__(self) -> str:
        return f"{self.style.model_name} from {self.first_day}"

    @property
    def amounts(self) -> TokenPrices | None:
        """The prices that are asked for; None: those of every style."""
        return TokenPrices.of(self.input_nanousd, self.cached_input_nanousd, self.output_nanousd)
