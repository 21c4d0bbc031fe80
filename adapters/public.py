"""What other floors may use of this one. What the gateway needs is in `data_plane`."""

from adapters.actions import cast_vote, choose_style, hear_styles, select_first_party_styles
from adapters.catalog.export import list_exported
from adapters.catalog.library import select_style
from adapters.catalog.priced import STYLE_SOURCE
from adapters.catalog.queries import ModelChoice, model_choices, public_styles, style_choices
from adapters.catalog.sharing import set_public
from adapters.catalog.shelf import (
    find_to_hear,
    name_answering_style,
    newest_uploads,
    styles_in_use,
    styles_to_hear,
)
from adapters.engines.doctor import diagnose_engines
from adapters.engines.readiness import Readiness, engine_readiness
from adapters.enqueue import enqueue_advance, request_version
from adapters.errors import RoundNotFound
from adapters.models import AdapterVersion, Engine, Erasure, Style
from adapters.object_store import (
    StoredObject,
    check_storage,
    is_storage_answering,
    list_objects,
    put_as_browser,
    put_object,
    read_object,
    refused_origin,
    write_object,
)
from adapters.placement.history import take_samples as take_engine_samples
from adapters.placement.summary import (
    EngineSummary,
    count_unpublished,
    count_versions,
    oldest_missing_s,
    summarize_engines,
)
from adapters.placement.transitions import is_answering
from adapters.releases.votes import begin_round, find_round, find_side_model, show_side
from adapters.releases.votes import standings as vote_standings
from adapters.routing.lookup import routes_of
from adapters.routing.publisher import publish_missing_tables, publish_routes
from adapters.uploads.holdings import count_holdings
from adapters.uploads.sessions import begin_upload, finish_upload
from adapters.uploads.upload_request import StyleDescription

__all__ = [
    "STYLE_SOURCE",
    "AdapterVersion",
    "Engine",
    "EngineSummary",
    "Erasure",
    "ModelChoice",
    "Readiness",
    "RoundNotFound",
    "StoredObject",
    "Style",
    "StyleDescription",
    "begin_round",
    "begin_upload",
    "cast_vote",
    "check_storage",
    "choose_style",
    "count_holdings",
    "count_unpublished",
    "count_versions",
    "diagnose_engines",
    "engine_readiness",
    "enqueue_advance",
    "find_round",
    "find_side_model",
    "find_to_hear",
    "finish_upload",
    "hear_styles",
    "is_answering",
    "is_storage_answering",
    "list_exported",
    "list_objects",
    "model_choices",
    "name_answering_style",
    "newest_uploads",
    "oldest_missing_s",
    "public_styles",
    "publish_missing_tables",
    "publish_routes",
    "put_as_browser",
    "put_object",
    "read_object",
    "refused_origin",
    "request_version",
    "routes_of",
    "select_first_party_styles",
    "select_style",
    "set_public",
    "show_side",
    "style_choices",
    "styles_in_use",
    "styles_to_hear",
    "summarize_engines",
    "take_engine_samples",
    "vote_standings",
    "write_object",
]
