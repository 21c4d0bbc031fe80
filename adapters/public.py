"""What other floors may use of this one."""

from adapters.catalog.queries import (
    find_usable_style,
    public_styles,
    select_style,
    set_public,
    style_choices,
    unselect_style,
    usable_styles,
)
from adapters.enqueue import enqueue_advance, request_load
from adapters.errors import NoBaseModel, NotUploaded, StyleNotFound, UploadRefused
from adapters.models import AdapterVersion, Engine, Style
from adapters.object_store import Upload
from adapters.placement.transitions import is_answering
from adapters.routing.publisher import publish_routes, republish_stale
from adapters.routing.route_table import routes_of
from adapters.uploads.sessions import begin_upload, finish_upload
from adapters.uploads.upload_request import StyleDescription

__all__ = [
    "AdapterVersion",
    "Engine",
    "NoBaseModel",
    "NotUploaded",
    "Style",
    "StyleDescription",
    "StyleNotFound",
    "Upload",
    "UploadRefused",
    "begin_upload",
    "enqueue_advance",
    "find_usable_style",
    "finish_upload",
    "is_answering",
    "public_styles",
    "publish_routes",
    "republish_stale",
    "request_load",
    "routes_of",
    "select_style",
    "set_public",
    "style_choices",
    "unselect_style",
    "usable_styles",
]
