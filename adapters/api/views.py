"""What the views of styles share: the scopes that a key needs, and answers with one style or one version."""

from functools import partial

from rest_framework.request import Request
from rest_framework.response import Response

from adapters.api.addresses import StyleAddress, find_own_style, find_own_version
from adapters.api.presenters import present_style, present_version
from tenants.models import Scope
from tenants.rest import WorkspaceView, operation

read_operation = partial(operation, scope=Scope.STYLES_READ)
write_operation = partial(operation, scope=Scope.STYLES_WRITE)


class StyleApiView(WorkspaceView):
    """A view of styles, or of what belongs to them. `order` is that of its list."""

    order: tuple[str, ...] = ("-created_at", "-pk")

    def order_by(self, request: Request) -> tuple[str, ...]:
        """Return the order of the list."""
        return self.order

    def answer_style(self, address: StyleAddress) -> Response:
        """Answer with a style of the caller's own as it is now. Raises NoSuchStyle."""
        return self.answer_object(present_style(find_own_style(self.access, address), self.access.tenant))

    def answer_version(self, address: StyleAddress, number: int, *, status: int = 200) -> Response:
        """Answer with a version of the caller's own style as it is now.

        Raises NoSuchStyle or VersionNotFound.
        """
        version = find_own_version(self.access, address, number)
        return self.answer_object(present_version(version), status=status)
