"""Writing styles: what tenants name in `model=`."""

from uuid import uuid4

from django.db import models
from django.db.models import Q


class StyleQuerySet(models.QuerySet["Style"]):
    def visible_to(self, tenant_id: object) -> "StyleQuerySet":
        """Return a tenant's own styles and all public ones."""
        return self.filter(Q(owner=tenant_id) | Q(is_public=True), retired_at=None).select_related("owner")

    def usable_by(self, tenant_id: object) -> "StyleQuerySet":
        """Return the styles that a tenant may name in `model=`: its own, and public ones it selected."""
        selected = Q(is_public=True, selections__tenant=tenant_id)
        return self.filter(Q(owner=tenant_id) | selected, retired_at=None).distinct().select_related("owner")


class Style(models.Model):
    """A writing style. Its versions are adapters; `live_version` is the one that answers."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    owner = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="styles")
    slug = models.SlugField(max_length=40, help_text="What programs write in `model=`.")
    name = models.CharField(max_length=60)
    description = models.CharField(max_length=300, blank=True)
    sample_prompt = models.CharField(max_length=300, blank=True)
    sample = models.CharField(max_length=500, blank=True, help_text="A line that the style writes.")
    base_model = models.ForeignKey("adapters.BaseModel", on_delete=models.PROTECT, related_name="styles")
    is_public = models.BooleanField(default=False, help_text="In everybody's catalogue.")
    live_version = models.ForeignKey(
        "adapters.AdapterVersion", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    retired_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = StyleQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("owner", "slug", name="one_slug_an_owner")]

    def __str__(self) -> str:
        return self.model_name

    @property
    def model_name(self) -> str:
        """What goes into `model=`: `poetry` for the house's styles, `acme/brand-voice` for a tenant's."""
        return self.slug if self.owner.is_house else f"{self.owner.slug}/{self.slug}"


class Selection(models.Model):
    """A public style that a tenant has taken into its library."""

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="selections")
    style = models.ForeignKey(Style, on_delete=models.CASCADE, related_name="selections")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "style", name="one_selection")]

    def __str__(self) -> str:
        return f"{self.tenant_id} uses {self.style_id}"
