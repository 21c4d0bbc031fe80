"""`GET /v1/models`: the styles that this key may use, never the engine's own list."""

import asyncio
import json
import time
from typing import Any, NamedTuple

from core import months
from inference.api.endpoints import MODELS
from inference.contract.dialects import anthropic_models
from inference.contract.field_checks import MAX_MODEL_CHARACTERS
from inference.contract.route import Route, read_target
from inference.errors import LimitsUnavailable, UnknownModel
from inference.proxy.runtime import Gateway
from inference.quota.admission import DENIED, Caller

CANARY = "canary:"

type Hash = dict[str, str]


class Model(NamedTuple):
    """What a name leads to, and what is said of it."""

    route: Route
    about: str


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

    Raises UnknownModel, or what admission raises for a key or workspace that is not served (any more).
    """
    limits, key, names = await read_snapshot(gateway, caller)
    check_key(limits, key)
    usable = usable_models(gateway, names, key["styles"])
    base_context = gateway.routes.tables.base_context
    if name:
        if name not in usable:
            raise UnknownModel(model=name[:MAX_MODEL_CHARACTERS], param="model")
        _, at, version = name.partition("@")
        return _model_object(usable[name], base_context, suffix=at + version)
    by_name = {}
    for requested_name, model in usable.items():
        if "@" not in requested_name:
            by_name[model.route.name] = model  # a style's short name and its full one lead to the same route
    models = [_model_object(by_name[name], base_context) for name in sorted(by_name)]
    return {"object": "list", "data": models}


async def read_snapshot(gateway: Gateway, caller: Caller) -> tuple[Hash, Hash, Hash]:
    """Return the workspace's limits, the key's, and where all names lead, publishing them if need be."""
    await gateway.routes.ensure_loaded()
    limits, key, targets = await _read_from_valkey(gateway, caller)
    if not (limits and key and targets):  # a cache miss: Valkey does not know this workspace (any more)
        await gateway.warm(caller.tenant_id, months.current())
        limits, key, targets = await _read_from_valkey(gateway, caller)
    if not key:
        await gateway.require_published(caller)
    return limits, key, targets


async def _read_from_valkey(gateway: Gateway, caller: Caller) -> tuple[Hash, Hash, Hash]:
    names = caller.names
    limits, key, targets = await asyncio.gather(
        gateway.valkey.execute("HGETALL", names.limits),
        gateway.valkey.execute("HGETALL", names.api_key),
        gateway.valkey.execute("HGETALL", names.styles),
    )
    return _in_force(_as_dict(limits)), _as_dict(key), _as_dict(targets)


def _in_force(limits: Hash) -> Hash:
    """Return limits with a change that was known ahead, once it is due. Admission writes it so."""
    coming_at = limits.get("coming_at")
    if coming_at and int(coming_at) <= time.time() * 1000:
        return {**limits, **json.loads(limits["coming"]), "coming_at": "", "coming": ""}
    return limits


def _as_dict(flat: list[str]) -> Hash:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def check_key(limits: Hash, key: Hash, *, needs_inference: bool = True) -> None:
    """Raise what admission would raise for this key."""
    if not (limits and key):
        raise LimitsUnavailable
    if limits["state"] != "live":
        raise DENIED["suspended"]
    if key["state"] != "live" and (needs_inference or key["state"] != "unscoped"):
        raise DENIED[key["state"]]
    if key["expires_at"] and int(key["expires_at"]) <= time.time():
        raise DENIED["expired"]


def usable_models(gateway: Gateway, targets: Hash, key_styles: str) -> dict[str, Model]:
    """Return by name what serves (loaded now or not) and what the key may use."""
    allowed = key_styles.split(",") if key_styles else None
    usable = {}
    for name, written in targets.items():
        if name.startswith(CANARY):
            continue
        target = read_target(written)
        route = gateway.routes.tables.route(target.version_id)
        # Only versions that serve have a name of their own.
        version_name = f"{name.partition('@')[0]}@{route.version}"
        is_serving = bool(route.places) or version_name in targets
        if is_serving and (allowed is None or target.style in allowed):
            usable[name] = Model(route, target.about)
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
