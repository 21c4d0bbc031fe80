"""`GET /v1/models`: the styles that this key may use, never the engine's own list."""

import asyncio
import json
import time
from itertools import batched
from typing import Any, NamedTuple

from django.conf import settings

from core import months
from inference.api.endpoints import MODELS
from inference.contract.dialects import anthropic_models
from inference.contract.field_checks import MAX_MODEL_CHARACTERS
from inference.contract.route import BASE, NO_STYLE, Route, StyleNames, read_style
from inference.errors import LimitsUnavailable, UnknownModel
from inference.proxy.runtime import Gateway
from inference.quota.access import LIBRARY_MARK
from inference.quota.admission import DENIED, Caller

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
) -> dict[str, Any]:
    """Return the models below a path, in OpenAI's form or Anthropic's. Raises what `list_models` raises."""
    name = path.removeprefix(MODELS).removeprefix("/")
    answer = await list_models(gateway, caller, name)
    if not is_anthropics:
        return answer
    if name:
        return anthropic_models.translate_model(answer)
    return anthropic_models.translate_list(answer, query)


async def list_models(gateway: Gateway, caller: Caller, name: str = "") -> dict[str, Any]:
    """Return OpenAI's list object; with a name, the model object of that style or version.

    Raises UnknownModel, or what admission raises for a key or workspace that is not served (or no longer).
    """
    snapshot = await read_snapshot(gateway, caller)
    check_key(snapshot)
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


async def read_snapshot(gateway: Gateway, caller: Caller) -> Snapshot:
    """Return what Valkey has of a workspace, publishing it if need be.

    Raises LimitsUnavailable or UnknownKey.
    """
    await gateway.routes.ensure_loaded()
    snapshot = await _read_from_valkey(gateway, caller)
    if snapshot is None:  # a cache miss: Valkey does not (or no longer) know this workspace
        await gateway.warm(caller.tenant_id, months.current())
        snapshot = await _read_from_valkey(gateway, caller)
    if snapshot is None:
        await gateway.require_published(caller)
        raise LimitsUnavailable
    return snapshot


async def _read_from_valkey(gateway: Gateway, caller: Caller) -> Snapshot | None:
    names = caller.names
    limits, key, library, incarnation = await asyncio.gather(
        gateway.valkey.execute("HGETALL", names.limits),
        gateway.valkey.execute("HGETALL", names.api_key),
        gateway.valkey.execute("HGETALL", names.library),
        gateway.valkey.execute("GET", names.incarnation),
    )
    if not (limits and key and library and incarnation):
        return None
    styles = await _read_styles(gateway, caller, rights=_as_dict(library))
    return Snapshot(_in_force(_as_dict(limits)), _as_dict(key), styles)


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


def _in_force(limits: Hash) -> Hash:
    """Return limits with a change that was known ahead, once it is due. Admission writes it so."""
    coming_at = limits.get("coming_at")
    if coming_at and int(coming_at) <= time.time() * 1000:
        return {**limits, **json.loads(limits["coming"]), "coming_at": "", "coming": ""}
    return limits


def _as_dict(flat: list[str]) -> Hash:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def check_key(snapshot: Snapshot, *, needs_inference: bool = True) -> None:
    """Raise what admission would raise for this key."""
    key = snapshot.key
    if snapshot.limits["state"] != "live":
        raise DENIED["suspended"]
    if key["state"] != "live" and (needs_inference or key["state"] != "unscoped"):
        raise DENIED[key["state"]]
    if key["expires_at"] and int(key["expires_at"]) <= time.time():
        raise DENIED["expired"]


def usable_models(gateway: Gateway, snapshot: Snapshot) -> dict[str, Model]:
    """Return by full name what serves (loaded now or not) and what the key may use."""
    tables = gateway.routes.tables
    allowed = snapshot.key["styles"].split(",") if snapshot.key["styles"] else None
    usable = {}
    base = tables.route(BASE)
    if base.places and (allowed is None or NO_STYLE in allowed):
        usable[BASE] = Model(base, f"The base model, {settings.BASE_MODEL}, without a style.")
    for name, style in snapshot.styles.items():
        # A style of the first party can't be named where the workspace has one of the same short name.
        is_hidden = bool(snapshot.own_name(name))
        if not is_hidden and (allowed is None or style.style in allowed):
            for suffix, version_id in style.versions.items():
                route = tables.route(version_id)
                # Only versions that serve have a name of their own.
                if route.places or f"@{route.version}" in style.versions:
                    usable[f"{name}{suffix}"] = Model(route, style.about)
    return usable


def _model_object(model: Model, base_context: int, suffix: str = "") -> dict[str, Any]:
    """Return OpenAI's model object. `context_length` is in tokens; an unloaded style has its base model's."""
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
        "version": route.version,
    }
