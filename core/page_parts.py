"""Pages of which htmx asks a part alone, at the same address."""

from collections.abc import Mapping
from pathlib import PurePosixPath

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

HEADER = "HX-Request"


def is_part_wanted(request: HttpRequest) -> bool:
    """Return whether htmx asks, which puts the answer into the page that is open."""
    return HEADER in request.headers


def render_page_or_part(request: HttpRequest, page: str, context: Mapping[str, object]) -> HttpResponse:
    """Render a page, or for htmx its part: the template beside it whose name begins with an underscore."""
    path = PurePosixPath(page)
    name = str(path.with_name(f"_{path.name}")) if is_part_wanted(request) else page
    response = render(request, name, dict(context))
    patch_vary_headers(response, [HEADER])
    return response
