"""Lists page by page. A cursor names the last row that was sent, so rows that are new move nothing."""

from base64 import b64decode
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.core.exceptions import ValidationError
from django.db import DataError
from rest_framework import exceptions
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import Invalid

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
CURSOR_PARTS = {"o", "p", "r"}  # offset, position, reverse: as REST framework writes them


class BadCursor(Invalid):
    """Invalid cursor for this list. Start again without `cursor`."""

    code = "invalid_cursor"


class BadLimit(Invalid):
    """`limit` must be a number from 1 to {most}."""

    code = "invalid_limit"


class CursorPages(CursorPagination):
    """Pages of `limit` rows, 20 by default, in the order that the view names: `order_by`."""

    page_size = DEFAULT_LIMIT
    cursor_query_param = "cursor"
    page_size_query_param = "limit"
    max_page_size = MAX_LIMIT

    def get_page_size(self, request: Request) -> int:
        """Return how many rows a page has. Raises BadLimit."""
        written = request.query_params.get("limit", str(DEFAULT_LIMIT))
        if not (written.isascii() and written.isdigit() and len(written) <= 3):
            raise BadLimit(most=MAX_LIMIT, field="limit")
        limit = int(written)
        if not 1 <= limit <= MAX_LIMIT:
            raise BadLimit(most=MAX_LIMIT, field="limit")
        return limit

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:
        """Return the order of the view's list."""
        return tuple(view.order_by(request))

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Return where the page begins. Raises BadCursor."""
        written = request.query_params.get("cursor")
        if written is None:
            return None
        try:
            parts = parse_qs(b64decode(written, validate=True).decode(), strict_parsing=True)
            cursor = super().decode_cursor(request)
        except (exceptions.NotFound, ValueError) as error:
            raise BadCursor(field="cursor") from error
        if not parts.keys() <= CURSOR_PARTS:
            raise BadCursor(field="cursor")
        return cursor

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        """Return the rows of the page. Raises BadCursor for a cursor that names no row of this order."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValidationError, ValueError, DataError) as error:
            raise BadCursor(field="cursor") from error

    def encode_cursor(self, cursor: Cursor) -> str:
        """Return the cursor alone. REST framework would return a whole address."""
        address = super().encode_cursor(cursor)
        return parse_qs(urlsplit(address).query)["cursor"][0]

    def get_paginated_response(self, data: Any) -> Response:
        """Return a page: its rows, and the cursor of the next one, null at the end."""
        next_cursor = self.get_next_link()
        return Response({"data": data, "has_more": next_cursor is not None, "next_cursor": next_cursor})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the schema of a page."""
        return {
            "type": "object",
            "required": ["data", "has_more", "next_cursor"],
            "properties": {
                "data": {"type": "array", "items": schema},
                "has_more": {"type": "boolean"},
                "next_cursor": {"type": ["string", "null"], "description": "Pass it as `cursor`."},
            },
        }
