"""What a workspace holds that a plan limits: styles and stored files, which live on a floor above this one.

That floor's function is registered here when Django starts.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tenants.models import Tenant


@dataclass(frozen=True)
class Holdings:
    """What a workspace holds at a moment."""

    private_styles: int = 0
    stored_versions: int = 0
    stored_bytes: int = 0


type CountHoldings = Callable[[Tenant], Holdings]

_registered: list[CountHoldings] = []


def register_holdings(count: CountHoldings) -> None:
    """Let plans be compared with what a function counts."""
    if count not in _registered:
        _registered.append(count)


def holdings_of(tenant: Tenant) -> Holdings:
    """Return what a workspace holds; nothing while nothing is registered."""
    return _registered[0](tenant) if _registered else Holdings()
