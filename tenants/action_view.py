"""The view of every form: check what was filled in, call one action, say what came of it, redirect."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.contrib import messages
from django.forms import BaseForm
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_http_methods

from core.pages import failures_shown
from tenants.access import MemberRequest, member_required
from tenants.roles import Permission, requires

type View = Callable[..., HttpResponseBase]


def action_view(
    permission: Permission,
    *,
    to: str = "",
    form: type[BaseForm] | Callable[..., BaseForm] | None = None,
    page: View | None = None,
    to_read: Permission | None = None,
) -> Callable[[Callable[..., HttpResponseBase | str]], View]:
    """Return a decorator that makes a view of a function that calls one action.

    The function gets the request, the valid form if the view has one, and what the address names. It returns
    what was done, as a sentence that the page `to` shows, or a response. `form` is a class, or makes the form
    from the request and what the address names.

    A refusal (DomainError) is shown on the page `to`. With a form, nothing that was typed is lost: `page`
    shows it again with what is wrong, as a 400. `page` gets the request, the form or None, and what the
    address names; with `to_read`, it is also what a GET of the address shows.
    """

    def decorate(act: Callable[..., HttpResponseBase | str]) -> View:
        @wraps(act)
        def view(request: MemberRequest, /, **named: Any) -> HttpResponseBase:
            if page and request.method != "POST":
                return page(request, None, **named)
            filled = None
            if form:
                filled = form(request.POST) if isinstance(form, type) else form(request, **named)
            if filled is None or filled.is_valid():
                with failures_shown(request, filled):
                    done = act(request, **named) if filled is None else act(request, filled, **named)
                    if isinstance(done, HttpResponseBase):
                        return done
                    messages.success(request, done)
                    return redirect(_address(to, named))
            if page is None:
                return redirect(_address(to, named))
            answer = page(request, filled, **named)
            answer.status_code = 400
            return answer

        guarded = member_required(requires(permission, to_read=to_read or Permission.READ)(view))
        return require_http_methods(["GET", "HEAD", "POST"] if to_read else ["POST"])(guarded)

    return decorate


def _address(page: str, named: Mapping[str, object]) -> str:
    """Return the address of a page; if it is one of a row, then of the row that this address names."""
    try:
        return reverse(page, kwargs=dict(named))
    except NoReverseMatch:
        return reverse(page)
