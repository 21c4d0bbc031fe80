"""How pages tell people why an action refused."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from core.errors import DomainError, FieldsRefused, NotAllowed


@contextmanager
def failures_shown(request: HttpRequest, form: BaseForm | None = None) -> Iterator[None]:
    """Show people why an action refused, instead of raising its DomainError.

    It is shown on the form, beside the fields that the error names; without a form, on the next page. Raises
    PermissionDenied (a 403) for what the person may not do: an admin can't remove an owner.
    """
    try:
        yield
    except NotAllowed as error:
        raise PermissionDenied(error.message) from error
    except DomainError as error:
        if form is None:
            messages.error(request, error.message)
            return
        by_field: Mapping[Any, list[str]] = {error.facts.get("field"): [error.message]}
        if isinstance(error, FieldsRefused):
            by_field = error.errors
        for field, sentences in by_field.items():
            form.add_error(field if field in form.fields else None, sentences)


# Pages of which htmx asks a part alone, at the same address.

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
