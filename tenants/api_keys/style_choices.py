"""The styles that a key can be limited to.

Styles live on a floor above this one. That floor's function is registered here when Django starts.
"""

from collections.abc import Callable
from uuid import UUID

from tenants.models import Tenant

type StyleChoice = tuple[UUID, str, str]  # id, name, model name
type ListStyles = Callable[[Tenant], list[StyleChoice]]

_registered: list[ListStyles] = []


def register_style_choices(list_styles: ListStyles) -> None:
    """Let keys be limited to the styles that a function lists for a tenant."""
    if list_styles not in _registered:
        _registered.append(list_styles)


def list_style_choices(tenant: Tenant) -> list[StyleChoice]:
    """Return the styles that a tenant may name in `model=`; none while nothing is registered."""
    choices: list[StyleChoice] = []
    for list_styles in _registered:
        choices += list_styles(tenant)
    return choices
