"""What other apps may use of this one. What the gateway needs is in `data_plane`."""

from adapters.actions import found_workspace
from adapters.catalog.home_styles import (
    StyleChoice,
    find_style_choices,
    find_to_try,
    list_answers,
    list_style_choices,
    name_default_style,
    name_example_model,
    newest_uploads,
    public_styles,
    styles_in_use,
    styles_to_try,
)
from adapters.catalog.price_changes import set_price
from adapters.catalog.queries import ModelChoice, list_styles, model_choices
from adapters.catalog.selection import choose_style, list_exported, select_first_party_styles, try_styles
from adapters.catalog.sharing import set_public
from adapters.catalog.terms import Terms, find_style, name_public_styles
from adapters.engines.client import count_base_parameters, write_with_base
from adapters.engines.readiness import diagnose_engines, engine_readiness
from adapters.enqueue import enqueue, enqueue_advance
from adapters.erasure.workflow import describe_styles_erasure, erase_some_styles, report_styles_erasure
from adapters.errors import RoundNotFound
from adapters.placement.summary import count_unpublished, count_versions, oldest_missing_s, summarize_engines
from adapters.placement.summary import take_samples as take_engine_samples
from adapters.placement.transitions import is_answering
from adapters.releases.votes import begin_round, cast_vote, find_round, find_side_model, show_side
from adapters.routing.publisher import publish_library
from adapters.uploads.pruner import prune_storage, withdraw_old_conversions
from adapters.uploads.sessions import begin_upload, find_or_create_style, finish_upload
from adapters.uploads.storage_quota import Holdings, count_holdings
from adapters.uploads.upload_request import StyleDescription, style_faults
