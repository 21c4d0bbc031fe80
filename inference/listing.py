"""`GET /v1/models`: only what this key may use, never the engine's own list."""

from typing import Any

from foundation import months
from inference.admission import Caller
from inference.errors import RevokedKey, UnknownModel
from inference.gateway import Gateway
from inference.routing import Route, read_route

CANARY = "canary:"


async def models_of(gateway: Gateway, caller: Caller, name: str = "") -> dict[str, Any]:
    """Return OpenAI's list object, or one model object when a name is given. Raises UnknownModel."""
    key, routes = await _read(gateway, caller)
    if not key:
        await gateway.warm(caller.tenant_id, months.current())
        key, routes = await _read(gateway, caller)
    if key.get("state") != "live":
        raise RevokedKey
    allowed = set(key["styles"].split(",")) if key["styles"] else None
    usable = {
        typed: route for typed, route in _serving(routes).items() if allowed is None or route.style in allowed
    }
    if name:
        if name not in usable:
            raise UnknownModel(model=name, param="model")
        return _model(usable[name])
    public = {route.name: route for route in usable.values()}
    return {"object": "list", "data": [_model(public[name]) for name in sorted(public)]}


def _serving(routes: dict[str, str]) -> dict[str, Route]:
    """Return the names, without those of versions, that lead to what serves, loaded just now or not."""
    plain = (typed for typed in routes if "@" not in typed and not typed.startswith(CANARY))
    found = {typed: read_route(routes[typed]) for typed in plain}
    return {
        typed: route for typed, route in found.items() if route.places or f"{typed}@{route.version}" in routes
    }


async def _read(gateway: Gateway, caller: Caller) -> tuple[dict[str, str], dict[str, str]]:
    key = _hash(await gateway.valkey.ask("HGETALL", caller.names.api_key))
    styles = _hash(await gateway.valkey.ask("HGETALL", caller.names.styles))
    return (key if styles else {}), styles


def _hash(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _model(route: Route) -> dict[str, Any]:
    return {
        "id": route.name,
        "object": "model",
        "created": 0,
        "owned_by": route.name.split("/")[0] if "/" in route.name else "polyscribe",
        "root": route.base_model or None,
    }
