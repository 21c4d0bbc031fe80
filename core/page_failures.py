"""How pages tell people why an action refused."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.forms import BaseForm
from django.http import HttpRequest

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
