"""`GET /v1/models`: the styles that this key may use, never the engine's own list."""

import asyncio
from datetime import UTC, datetime
from itertools import batched
from typing import NamedTuple
from urllib.parse import parse_qs

from django.conf import settings

from core import months
from inference.contract.endpoints import MODELS
from inference.contract.field_checks import MAX_MODEL_CHARACTERS
from inference.contract.route import BASE_NAME, NO_STYLE, Route, StyleNames, read_style
from inference.errors import BadRequest, LimitsUnavailable, UnknownModel
from inference.facts import JsonObject
from inference.proxy.runtime import Gateway
from inference.quota.access import LIBRARY_MARK, allows_style
from inference.quota.admission import Caller
from inference.wire.valkey_client import read_hash

# Anthropic's form: https://platform.claude.com/docs/en/api/models-list, as its Python client reads it.
DEFAULT_LIMIT = 20
MAX_LIMIT = 1000
MAX_PARAMETERS = 20
LIFECYCLE = "active"  # a style that is retired is in no list


def translate_list(listed: JsonObject, query: bytes) -> JsonObject:
    """Return one page of a list of models; the query says which. Raises BadRequest."""
    parameters = _read_query(query)
    models = [translate_model(model) for model in listed["data"]]
    wanted = parameters.get("lifecycle") or parameters.get("lifecycle[]") or [LIFECYCLE]
    if LIFECYCLE not in wanted:
        models = []
    limit = _read_limit(parameters)
    if "before_id" in parameters:
        end = _find(models, parameters, "before_id")
        start = max(0, end - limit)
        has_more = start > 0
    else:
        start = _find(models, parameters, "after_id") + 1 if "after_id" in parameters else 0
        end = start + limit
        has_more = end < len(models)
    page = models[start:end]
    return {
        "data": page,
        "has_more": has_more,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def translate_model(model: JsonObject) -> JsonObject:
    """Return one model."""
    created = datetime.fromtimestamp(model["created"], UTC).isoformat().replace("+00:00", "Z")
    return {
        "type": "model",
        "id": model["id"],
        "display_name": model["id"],
        "created_at": created,
        "lifecycle": LIFECYCLE,
        "max_input_tokens": model["context_length"],
        "max_tokens": model["context_length"],
        "capabilities": None,
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
    }


def _read_query(query: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(query.decode(), max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise BadRequest("Invalid query parameters.") from error


def _read_limit(parameters: dict[str, list[str]]) -> int:
    text = parameters.get("limit", [str(DEFAULT_LIMIT)])[0]
    if text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_LIMIT)):
        limit = int(text)
        if 1 <= limit <= MAX_LIMIT:
            return limit
    raise BadRequest(f"`limit` must be a whole number between 1 and {MAX_LIMIT}.", param="limit")


def _find(models: list[JsonObject], parameters: dict[str, list[str]], name: str) -> int:
    """Return where the model is that a cursor names."""
    wanted = parameters[name][0]
    for index, model in enumerate(models):
        if model["id"] == wanted:
            return index
    raise BadRequest(f"`{name}` must be the id of a model in this list.", param=name)


ROWS_PER_READ = 500  # Valkey serves nobody else meanwhile

type Hash = dict[str, str]


class Model(NamedTuple):
    """What a name leads to, and what is said of it."""

    route: Route
    about: str


class Snapshot(NamedTuple):
    """A workspace's limits, one of its keys, and where the styles lead that it may use, by model name."""

    limits: Hash
    key: Hash
    styles: dict[str, StyleNames]

    def full_name(self, typed: str) -> str:
        """Return the full name of what a client types: the workspace's own style, else the first party's."""
        style, at, alias = typed.partition("@")
        return f"{self.own_name(style) or style}{at}{alias}"

    def own_name(self, style: str) -> str:
        """Return the full name of the workspace's own style of a short name, or ""."""
        name = f"{self.limits['slug']}/{style}"
        return name if name in self.styles else ""


async def answer_models(
    gateway: Gateway, caller: Caller, path: str, *, query: bytes, is_anthropics: bool
) -> JsonObject:
    """Return the models below a path, in OpenAI's form or Anthropic's. Raises what `list_models` raises."""
    name = path.removeprefix(MODELS).removeprefix("/")
    answer = await list_models(gateway, caller, name)
    if not is_anthropics:
        return answer
    if name:
        return translate_model(answer)
    return translate_list(answer, query)


async def list_models(gateway: Gateway, caller: Caller, name: str = "") -> JsonObject:
    """Return OpenAI's list object; with a name, the model object of that style or version.

    Raises UnknownModel, or what admission raises for a key or workspace that is not served.
    """
    snapshot = await read_snapshot(gateway, caller)
    usable = usable_models(gateway, snapshot)
    base_context = gateway.routes.tables.base_context
    if name:
        full_name = snapshot.full_name(name)
        if full_name not in usable:
            raise UnknownModel(model=name[:MAX_MODEL_CHARACTERS], param="model")
        _, at, version = name.partition("@")
        return _model_object(usable[full_name], base_context, suffix=at + version)
    listed = sorted(name for name in usable if "@" not in name)
    models = [_model_object(usable[name], base_context) for name in listed]
    return {"object": "list", "data": models}


async def read_snapshot(gateway: Gateway, caller: Caller, *, needs_inference: bool = True) -> Snapshot:
    """Return what Valkey has of a workspace, publishing it if need be.

    Raises what admission raises for a key that may not ask, and LimitsUnavailable.
    """
    await gateway.routes.ensure_loaded()
    snapshot = await _read_from_valkey(gateway, caller, needs_inference=needs_inference)
    if snapshot is None:  # a cache miss: Valkey does not know this workspace
        await gateway.workspaces.ensure_published(caller.tenant_id, months.current())
        snapshot = await _read_from_valkey(gateway, caller, needs_inference=needs_inference)
    if snapshot is None:
        await gateway.workspaces.require_published(caller)
        raise LimitsUnavailable
    return snapshot


async def _read_from_valkey(gateway: Gateway, caller: Caller, *, needs_inference: bool) -> Snapshot | None:
    # First: it also applies a change of the limits that is due.
    if await gateway.access.check(caller, needs_inference=needs_inference) is None:
        return None
    names = caller.names
    limits, key, library = await asyncio.gather(
        gateway.valkey.execute("HGETALL", names.limits),
        gateway.valkey.execute("HGETALL", names.api_key),
        gateway.valkey.execute("HGETALL", names.library),
    )
    if not (limits and key and library):  # Valkey may be emptied between the two
        return None
    styles = await _read_styles(gateway, caller, rights=read_hash(library))
    return Snapshot(read_hash(limits), read_hash(key), styles)


async def _read_styles(gateway: Gateway, caller: Caller, *, rights: Hash) -> dict[str, StyleNames]:
    """Return where the styles of a library lead, without those that lead nowhere."""
    del rights[LIBRARY_MARK]
    styles = {}
    for batch in batched(rights, ROWS_PER_READ):
        rows = await gateway.valkey.execute("HMGET", caller.names.styles, *batch)
        for name, row in zip(batch, rows, strict=True):
            style = read_style(row, rights[name])
            if style:
                styles[name] = style
    return styles


def usable_models(gateway: Gateway, snapshot: Snapshot) -> dict[str, Model]:
    """Return by full name what serves (loaded now or not) and what the key may use."""
    tables = gateway.routes.tables
    allowed = snapshot.key["styles"]
    usable = {}
    base = tables.route(BASE_NAME)
    if base.placements and allows_style(allowed, NO_STYLE):
        usable[BASE_NAME] = Model(base, f"The base model, {settings.BASE_MODEL}, without a style.")
    for name, style in snapshot.styles.items():
        # A style of the first party can't be named where the workspace has one of the same short name.
        is_hidden = bool(snapshot.own_name(name))
        if is_hidden or not allows_style(allowed, style.style):
            continue
        for suffix, version_id in style.versions.items():
            route = tables.route(version_id)
            # Only versions that serve have a name of their own.
            if route.placements or f"@{route.version}" in style.versions:
                usable[f"{name}{suffix}"] = Model(route, style.about)
    return usable


def _model_object(model: Model, base_context: int, suffix: str = "") -> JsonObject:
    """Return OpenAI's model object. `context_length` is in tokens; an unloaded style has its base model's.

    `default_parameters` are used where a request sends none.
    """
    route = model.route
    context = route.max_model_len or base_context
    return {
        "id": route.name + suffix,
        "object": "model",
        "created": route.created,
        "owned_by": route.name.split("/")[0] if "/" in route.name else "polyscribe",
        "root": route.base_model or None,
        "context_length": context or None,
        "max_model_len": context or None,  # vLLM's name for it
        "description": model.about,
        "default_parameters": route.sampling._asdict(),
        "version": route.version,
    }
