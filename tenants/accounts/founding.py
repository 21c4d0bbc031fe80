"""What every new workspace begins with that lives on a floor above this one: the first party's styles.

That floor's action is registered here when Django starts, so that every way to found a workspace takes it.
"""

from collections.abc import Callable

from tenants.accounts.access import Access

type Equip = Callable[[Access], object]

_registered: list[Equip] = []


def register_founding(equip: Equip) -> None:
    """Let an action equip each new workspace, in the transaction that founds it and as its founder."""
    if equip not in _registered:
        _registered.append(equip)


def equip_workspace(founder: Access) -> None:
    """Take what is registered; nothing while nothing is."""
    for equip in _registered:
        equip(founder)
