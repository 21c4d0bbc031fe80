"""`GET /v1/models`: only what this key may use, never the engine's own list."""

import asyncio
import time
from typing import Any

from foundation import months
from inference.contract.route import Route, read_route
from inference.errors import GateUnavailable, UnknownModel
from inference.proxy.runtime import Gateway
from inference.quota.admission import DENIED, Caller

BASE = "base"
CANARY = "canary:"

type Hash = dict[str, str]


async def list_models(gateway: Gateway, caller: Caller, name: str = "") -> dict[str, Any]:
    """Return OpenAI's list object, or one model object when a name is given, also that of a version.

    Raises UnknownModel, or what admission raises for a key or workspace that is not served (any more).
    """
    limits, key, routes = await _read(gateway, caller)
    if not (limits and key and routes):
        await gateway.warm(caller.tenant_id, months.current())
        limits, key, routes = await _read(gateway, caller)
    _check(limits, key)
    allowed = set(key["styles"].split(",")) if key["styles"] else None
    usable = {
        typed: route for typed, route in _serving(routes).items() if allowed is None or route.style in allowed
    }
    context = read_route(routes[BASE]).max_model_len if BASE in routes else 0
    if name:
        if name not in usable:
            raise UnknownModel(model=name, param="model")
        _, at, version = name.partition("@")
        return _model(usable[name], context, version=at + version)
    public = {route.name: route for typed, route in usable.items() if "@" not in typed}
    return {"object": "list", "data": [_model(public[name], context) for name in sorted(public)]}


def _check(limits: Hash, key: Hash) -> None:
    """Raise what admission would raise for this key."""
    if not (limits and key):
        raise GateUnavailable
    if limits["state"] != "live":
        raise DENIED["suspended"]
    if key["state"] != "live":
        raise DENIED["revoked"]
    if key["expires_at"] and int(key["expires_at"]) <= time.time():
        raise DENIED["expired"]


def _serving(routes: Hash) -> dict[str, Route]:
    """Return the names that lead to what serves, loaded just now or not."""
    names = [typed for typed in routes if not typed.startswith(CANARY)]
    found = {typed: read_route(routes[typed]) for typed in names}
    # Only versions that serve have a name of their own.
    return {
        typed: route
        for typed, route in found.items()
        if route.places or f"{typed.partition('@')[0]}@{route.version}" in routes
    }


async def _read(gateway: Gateway, caller: Caller) -> tuple[Hash, Hash, Hash]:
    names = caller.names
    limits, key, styles = await asyncio.gather(
        *(gateway.valkey.execute("HGETALL", name) for name in (names.limits, names.api_key, names.styles))
    )
    return _hash(limits), _hash(key), _hash(styles)


def _hash(flat: list[str]) -> Hash:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _model(route: Route, base_context: int, version: str = "") -> dict[str, Any]:
    """Return a model object. `context_length` is in tokens; of what is loaded nowhere, the base model's."""
    context = route.max_model_len or base_context
    return {
        "id": route.name + version,
        "object": "model",
        "created": route.created,
        "owned_by": route.name.split("/")[0] if "/" in route.name else "polyscribe",
        "root": route.base_model or None,
        "context_length": context or None,
        "max_model_len": context or None,  # as vLLM calls it
        "description": route.about,
        "version": route.version,
    }
