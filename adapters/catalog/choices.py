"""The styles that a key can be limited to.

Styles live on a floor above this one. That floor's function is registered here when Django starts.
"""

from collections.abc import Callable, Collection
from uuid import UUID

from tenants.models import Tenant

type StyleChoice = tuple[UUID, str, str]  # id, name, model name
# Of which workspace, among which ids or all, and how many at most.
type ListStyles = Callable[[Tenant, Collection[UUID] | None, int | None], list[StyleChoice]]

# Which of a workspace's styles answers, the one to begin with first; among which ids or all.
type FindAnswering = Callable[[Tenant, Collection[UUID] | None], str | None]

SHOWN_STYLES = 300  # of which a page lets people choose
BASE_MODEL_NAME = "base"  # what every key that is not limited to styles may name

_registered: list[ListStyles] = []
_finders: list[FindAnswering] = []


def register_style_choices(list_styles: ListStyles) -> None:
    """Let keys be limited to the styles that a function lists for a tenant."""
    if list_styles not in _registered:
        _registered.append(list_styles)


def register_answering_style(find: FindAnswering) -> None:
    """Let examples name a style that a function knows to answer."""
    if find not in _finders:
        _finders.append(find)


def name_example_model(tenant: Tenant, style_ids: Collection[UUID] | None) -> str:
    """Return what an example names in `model=`: a style that answers, else the base model.

    `style_ids`: those that the key is limited to. If none of these answers yet, it is still one of them.
    """
    among = style_ids or None
    for find in _finders:
        model = find(tenant, among)
        if model:
            return model
    limited_to = find_style_choices(tenant, among) if among else []
    return limited_to[0][2] if limited_to else BASE_MODEL_NAME


def name_default_style(tenant: Tenant) -> str | None:
    """Return the model name of the style that a tenant's pages begin with, if it can use it still."""
    if tenant.default_style is None:
        return None
    found = find_style_choices(tenant, [tenant.default_style])
    return found[0][2] if found else None


def list_style_choices(tenant: Tenant, *, besides: Collection[UUID] = ()) -> list[StyleChoice]:
    """Return the styles that a page offers: the first by name, and `besides` some that are chosen already."""
    shown = _list(tenant, None, SHOWN_STYLES)
    known = {style_id for style_id, _, _ in shown}
    missing = set(besides) - known
    return shown + find_style_choices(tenant, missing) if missing else shown


def find_style_choices(tenant: Tenant, style_ids: Collection[UUID]) -> list[StyleChoice]:
    """Return those of some styles that a tenant may name in `model=`."""
    return _list(tenant, style_ids, None)


def _list(tenant: Tenant, among: Collection[UUID] | None, most: int | None) -> list[StyleChoice]:
    """Ask what is registered; nothing while nothing is."""
    choices: list[StyleChoice] = []
    for list_styles in _registered:
        choices += list_styles(tenant, among, most)
    return choices
