from adapters.models.engines import IDENTITY, BaseModel, Engine, Placement
from adapters.models.styles import Selection, Style
from adapters.models.versions import AdapterVersion, Status, VersionStep

__all__ = [
    "IDENTITY",
    "AdapterVersion",
    "BaseModel",
    "Engine",
    "Placement",
    "Selection",
    "Status",
    "Style",
    "VersionStep",
]
