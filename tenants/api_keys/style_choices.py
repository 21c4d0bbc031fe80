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


def name_default_style(tenant: Tenant) -> str | None:
    """Return the model name of the style that a tenant's pages begin with, if it can use it still."""
    if tenant.default_style is None:
        return None
    names = {style_id: model for style_id, _, model in list_style_choices(tenant)}
    return names.get(tenant.default_style)


def list_style_choices(tenant: Tenant) -> list[StyleChoice]:
    """Return the styles that a tenant may name in `model=`; none while nothing is registered."""
    choices: list[StyleChoice] = []
    for list_styles in _registered:
        choices += list_styles(tenant)
    return choices
