"""What other floors may use of this one. What the gateway needs is in `data_plane`."""

from adapters.catalog.library import select_style
from adapters.catalog.priced import STYLE_SOURCE
from adapters.catalog.queries import ModelChoice, model_choices, public_styles, style_choices
from adapters.catalog.sharing import set_public
from adapters.enqueue import enqueue_advance, request_version
from adapters.models import AdapterVersion, Engine, Style
from adapters.object_store import is_storage_answering
from adapters.placement.transitions import is_answering
from adapters.routing.lookup import routes_of
from adapters.routing.publisher import publish_missing_tables, publish_routes
from adapters.uploads.holdings import count_holdings
from adapters.uploads.sessions import begin_upload, finish_upload
from adapters.uploads.upload_request import StyleDescription

__all__ = [
    "STYLE_SOURCE",
    "AdapterVersion",
    "Engine",
    "ModelChoice",
    "Style",
    "StyleDescription",
    "begin_upload",
    "count_holdings",
    "enqueue_advance",
    "finish_upload",
    "is_answering",
    "is_storage_answering",
    "model_choices",
    "public_styles",
    "publish_missing_tables",
    "publish_routes",
    "request_version",
    "routes_of",
    "select_style",
    "set_public",
    "style_choices",
]
