"""How pages tell people why an action failed."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib import messages
from django.http import HttpRequest

from core.errors import DomainError


@contextmanager
def failures_shown(request: HttpRequest) -> Iterator[None]:
    """Show people why an action failed instead of raising its DomainError."""
    try:
        yield
    except DomainError as error:
        messages.error(request, error.message)
