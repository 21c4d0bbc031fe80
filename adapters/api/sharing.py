"""Shares: the workspaces that a style's owner lets use it."""

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from adapters import actions
from adapters.api.addresses import StyleAddress, find_own_style, find_style
from adapters.api.examples import SHARE_EXAMPLE
from adapters.api.presenters import ShareObject, present_share
from adapters.api.views import StyleApiView, read_operation, write_operation
from adapters.errors import NotShared, StyleNotFound
from adapters.models import Share
from core.rest.bodies import StrictSerializer, TextField
from tenants.public import Access
from tenants.rest import idempotent

MAX_SLUG = 40


class ShareBody(StrictSerializer):
    """The workspace to share the style with."""

    workspace = TextField(
        max_length=MAX_SLUG, help_text="The workspace's slug: the part before the slash in `model`."
    )


class SharesView(StyleApiView):
    """The shares of a style of the workspace's own."""

    @read_operation(
        "shares.list",
        "List a style's shares",
        answer=ShareObject,
        is_page=True,
        example=SHARE_EXAMPLE,
        tag="styles",
    )
    def get(self, request: Request, style: StyleAddress) -> Response:
        """Return the shares, newest first, including those under notice."""
        own = find_own_style(self.access, style)
        shares = Share.objects.in_force().filter(style=own).select_related("style__owner", "tenant")
        return self.answer_page(shares, lambda page: [present_share(share) for share in page])

    @write_operation(
        "shares.create",
        "Share a style with a workspace",
        body=ShareBody,
        answer=ShareObject,
        status=201,
        is_post=True,
        example=SHARE_EXAMPLE,
        body_example={"workspace": "riverside"},
        tag="styles",
    )
    @idempotent
    def post(self, request: Request, style: StyleAddress) -> Response:
        """Share a style with a workspace. A share under notice is restored."""
        own = find_own_style(self.access, style)
        body = self.read_body(ShareBody)
        share = actions.share_style(self.access, own, body["workspace"])
        return self.answer_object(
            present_share(find_share(self.access, style, share.tenant.slug)), status=201
        )


class ShareView(StyleApiView):
    """One share."""

    @read_operation("shares.get", "Get a share", answer=ShareObject, example=SHARE_EXAMPLE, tag="styles")
    def get(self, request: Request, style: StyleAddress, workspace: str) -> Response:
        """Return a share of one of your styles, or your own share of another workspace's style."""
        return self.answer_object(present_share(find_share(self.access, style, workspace)))

    @write_operation(
        "shares.revoke",
        "Revoke a share",
        answer=ShareObject,
        is_edit=True,
        example=SHARE_EXAMPLE,
        tag="styles",
    )
    @transaction.atomic
    def delete(self, request: Request, style: StyleAddress, workspace: str) -> Response:
        """Revoke a share. It ends after the notice period. With your own slug, leave a style that is shared
        with you, immediately."""
        share = find_share(self.access, style, workspace)
        before = present_share(share)
        self.require_match(before)
        if share.tenant_id == self.access.tenant.pk:
            actions.leave_share(self.access, share.style)
            return self.answer_object(before)
        actions.revoke_share(self.access, share)
        return self.answer_object(present_share(find_share(self.access, style, workspace)))


def find_share(access: Access, address: StyleAddress, slug: str) -> Share:
    """Return a share of an own style, or the caller's own share of another one's.

    Raises StyleNotFound or NotShared.
    """
    style = find_style(access, address)
    if access.tenant.pk != style.owner_id and slug != access.tenant.slug:
        raise StyleNotFound
    shares = Share.objects.in_force().filter(style=style, tenant__slug=slug)
    share = shares.select_related("style__owner", "tenant").first()
    if share is None:
        raise NotShared(slug=slug)
    return share
