"""What other floors may use of this one."""

from adapters.catalog.queries import find_usable as find_style
from adapters.catalog.queries import select, set_public, showcase, style_choices, unselect
from adapters.catalog.queries import usable as playground_styles
from adapters.enqueue import ring_advance
from adapters.errors import NoBaseModel, NotUploaded, StyleNotFound, UploadRefused
from adapters.models import AdapterVersion, Engine, Style
from adapters.object_store import Upload
from adapters.placement.planner import demand
from adapters.placement.transitions import is_answering
from adapters.routing.publisher import publish as publish_routes
from adapters.routing.publisher import republish_stale
from adapters.routing.route_table import routes_of
from adapters.uploads.sessions import About
from adapters.uploads.sessions import begin as begin_upload
from adapters.uploads.sessions import finish as finish_upload

__all__ = [
    "About",
    "AdapterVersion",
    "Engine",
    "NoBaseModel",
    "NotUploaded",
    "Style",
    "StyleNotFound",
    "Upload",
    "UploadRefused",
    "begin_upload",
    "demand",
    "find_style",
    "finish_upload",
    "is_answering",
    "playground_styles",
    "publish_routes",
    "republish_stale",
    "ring_advance",
    "routes_of",
    "select",
    "set_public",
    "showcase",
    "style_choices",
    "unselect",
]
