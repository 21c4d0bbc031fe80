"""What the console's pages about money share: columns of amounts, and rows that operators only act on."""

# mypy: disallow-subclassing-any=False

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from core.console import OperatorAdmin
from core.money import usd
from tenants.console import NoDelete


def dollars_column(field: str, title: str, *, times: int = 1) -> Callable[[Any, Any], str]:
    """Return a column that shows an amount of a row in dollars, or that of so many tokens."""

    @admin.display(description=title)
    def show(_: Any, row: Any) -> str:
        return usd(times * getattr(row, field))

    show.formatting = "price"  # type: ignore[attr-defined]  # unfold aligns such a column at its end
    return show


class ActedOnAdmin(NoDelete, OperatorAdmin):
    """Rows that the system writes. Operators act on them from the list; a row itself has nothing to edit."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and bool(super().has_change_permission(request))
