"""What the consoles of other apps use of this one."""

from tenants.admin.amounts import AmountsInDollars
from tenants.admin.lists import EngineFilter, LongList, PeriodFilter
from tenants.admin.permissions import Immutable, NoDelete, ReadOnly

__all__ = [
    "AmountsInDollars",
    "EngineFilter",
    "Immutable",
    "LongList",
    "NoDelete",
    "PeriodFilter",
    "ReadOnly",
]
