"""Shares: the workspaces that a style's owner lets use it."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework import serializers

from adapters import actions
from adapters.api.addresses import StyleApiViewSet, find_style
from adapters.errors import NotShared, StyleNotFound
from adapters.models import Share
from core.rest.bodies import StrictSerializer, TextField
from tenants.rest import described

MAX_SLUG = 40


class ShareObject(serializers.Serializer[Share]):
    """A style shared with another workspace."""

    example: ClassVar[dict[str, Any]] = {
        "object": "share",
        "style": "3f0d9b6e-5a7c-4c1e-9b83-0e2f6d1a4c55",
        "model": "acme/brand-voice",
        "workspace": "riverside",
        "workspace_name": "Riverside Press",
        "created_at": "2026-11-26T09:30:00Z",
        "ends_at": None,
    }

    object = serializers.CharField(default="share", read_only=True)
    style = serializers.UUIDField(source="style_id")  # type: ignore[assignment]
    model = serializers.CharField(source="style.model_name")
    workspace = serializers.CharField(source="tenant.slug")
    workspace_name = serializers.CharField(source="tenant.name")
    created_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(allow_null=True, help_text="When access ends, once revoked.")


class ShareBody(StrictSerializer):
    """The workspace to share the style with."""

    example: ClassVar = {"workspace": "riverside"}

    workspace = TextField(
        max_length=MAX_SLUG, help_text="The workspace's slug: the part before the slash in `model`."
    )


class ShareViewSet(StyleApiViewSet):
    """Shares of the workspace's own styles, and its own shares of others' styles."""

    tag, resource, noun, nouns = "styles", "shares", "share", "a style's shares"
    reads = {
        "list": "Return the shares, newest first, including those under notice.",
        "retrieve": "Return a share of one of your styles, or your own share of another workspace's style.",
    }
    serializer_class = ShareObject
    new_body = ShareBody
    lookup_url_kwarg = "workspace"

    def get_queryset(self) -> QuerySet[Share]:
        return _shares().filter(style=self.own_style())

    def get_object(self, *, is_locked: bool = False) -> Share:
        """Return a share of an own style, or the caller's own share. Raises StyleNotFound or NotShared."""
        return self._find(self.kwargs["workspace"])

    @described(summary="Share a style with a workspace")
    def create(self, body: dict[str, Any]) -> Share:
        """Share a style with a workspace. A share under notice is restored."""
        share = actions.share_style(self.access, self.own_style(), body["workspace"])
        return self._find(share.tenant.slug)

    @described(name="revoke", summary="Revoke a share", answer=ShareObject, is_locked=False)
    def destroy(self, share: Share) -> Share:
        """Revoke a share. It ends after the notice period. With your own slug, leave a style that is shared
        with you, immediately."""
        if share.tenant_id == self.access.tenant.pk:
            actions.leave_share(self.access, share.style)
            return share
        actions.revoke_share(self.access, share)
        return self.get_object()

    def _find(self, slug: str) -> Share:
        style = find_style(self.access, self.kwargs["style"])
        if self.access.tenant.pk != style.owner_id and slug != self.access.tenant.slug:
            raise StyleNotFound
        share = _shares().filter(style=style, tenant__slug=slug).first()
        if share is None:
            raise NotShared(slug=slug)
        return share


def _shares() -> QuerySet[Share]:
    return Share.objects.in_force().select_related("style__owner", "tenant")


def present_share(share: Share) -> dict[str, Any]:
    """Return a share as its owner, and the workspace that it is for, see it."""
    return dict(ShareObject(share).data)
