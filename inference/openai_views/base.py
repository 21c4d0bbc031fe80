"""What the views of this API share: keys alone, failures in OpenAI's form, lists by `after` and `limit`."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from core.rest.bodies import StrictParser
from inference.errors import BadRequest
from inference.openai_views.failures import answer_failure
from inference.openai_views.pages import answer_page
from inference.proxy.bodies import require_json
from tenants.rest import KeyAuthentication, WorkspaceView

type Present = Callable[[Any], Mapping[str, object]]


class FirstRenderer(BaseContentNegotiation):
    """Answers in JSON whatever a client accepts: OpenAI's asks for `application/binary` to get a file."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """Return what reads the body, as JSON. Raises UnknownMediaType."""
        require_json(request.content_type or "")
        return next(iter(parsers))

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return what writes the answer."""
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


class OpenAiView(WorkspaceView):
    """A view of what one workspace has: that of another one is 404."""

    authentication_classes = [KeyAuthentication]
    parser_classes = [StrictParser]
    content_negotiation_class = FirstRenderer

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer, also to a page of an allowed origin."""
        answer = partial(super().dispatch, request, *args, **kwargs)
        return answer_page(request, answer, methods=", ".join(self.allowed_methods))

    def get_exception_handler(self) -> Any:
        """Return what turns exceptions into errors of OpenAI's form."""
        return answer_failure

    def answer_list(
        self,
        rows: QuerySet[Any],
        present: Present,
        *,
        find: Callable[[str], Model],
        default_limit: int,
        most: int,
        field: str = "created_at",
        is_ascending: bool = False,
    ) -> Response:
        """Answer with the rows that follow the one that `after` names, the newest first.

        `find` returns the row of an id, and raises where there is none.
        """
        limit = read_limit(self.request, default=default_limit, most=most)
        after = self.request.query_params.get("after")
        if after:
            rows = rows.filter(_follows(find(after), field, is_ascending=is_ascending))
        sign = "" if is_ascending else "-"
        found = list(rows.order_by(f"{sign}{field}", f"{sign}pk")[: limit + 1])
        data = [present(row) for row in found[:limit]]
        return Response(
            {
                "object": "list",
                "data": data,
                "has_more": len(found) > limit,
                "first_id": data[0]["id"] if data else None,
                "last_id": data[-1]["id"] if data else None,
            }
        )


def read_limit(request: Request, *, default: int, most: int) -> int:
    """Return how many rows an answer has. Raises BadRequest."""
    written = request.query_params.get("limit", str(default))
    if not (written.isascii() and written.isdigit() and len(written) <= 6 and 1 <= int(written) <= most):
        raise BadRequest(f"`limit` must be a number from 1 to {most}.", param="limit")
    return int(written)


def unix_time(at: datetime | None) -> int | None:
    """Return a moment as seconds since 1970."""
    return None if at is None else int(at.timestamp())


def _follows(row: Model, field: str, *, is_ascending: bool) -> Q:
    """Return the rows behind one, in an order by a field and then by key."""
    way = "gt" if is_ascending else "lt"
    value = getattr(row, field)
    return Q(**{f"{field}__{way}": value}) | Q(**{field: value, f"pk__{way}": row.pk})
