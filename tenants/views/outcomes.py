"""Tell a person how an action went."""

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from core.errors import DomainError
from tenants.accounts.roles import RoleNotAllowed


def run_action(request: HttpRequest, action: Callable[[], object], *, done: str) -> bool:
    """Run an action, and show `done` or why it was refused on the next page; return whether it was done.

    Raises PermissionDenied where the action refused the person's role: an admin can't remove an owner.
    """
    try:
        action()
    except RoleNotAllowed as error:
        raise PermissionDenied(error.message) from error
    except DomainError as error:
        messages.error(request, error.message)
        return False
    messages.success(request, done)
    return True
