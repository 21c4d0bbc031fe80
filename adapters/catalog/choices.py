"""The styles that a key can be limited to, and the one that pages and examples begin with."""

from collections.abc import Collection
from uuid import UUID

from adapters.catalog import home_styles, queries
from tenants.models import Tenant

type StyleChoice = tuple[UUID, str, str]  # id, name, model name

SHOWN_STYLES = 300  # of which a page lets people choose
BASE_MODEL_NAME = "base"  # what every key that is not limited to styles may name


def name_example_model(tenant: Tenant, style_ids: Collection[UUID] | None) -> str:
    """Return what an example names in `model=`: a style that answers, else the base model.

    `style_ids`: those that the key is limited to. If none of these answers yet, it is still one of them.
    """
    among = style_ids or None
    model = home_styles.name_answering_style(tenant, among)
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
    shown = queries.style_choices(tenant, None, SHOWN_STYLES)
    known = {style_id for style_id, _, _ in shown}
    missing = set(besides) - known
    return shown + find_style_choices(tenant, missing) if missing else shown


def find_style_choices(tenant: Tenant, style_ids: Collection[UUID]) -> list[StyleChoice]:
    """Return those of some styles that a tenant may name in `model=`."""
    return queries.style_choices(tenant, style_ids, None)
