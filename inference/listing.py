"""`GET /v1/models`: only what this key may use, never the engine's own list."""

import json
from typing import Any

from redis.exceptions import RedisError

from foundation import months
from inference.admission import Caller
from inference.errors import GateUnavailable, RevokedKey, UnknownModel
from inference.gateway import Gateway


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
        typed: route
        for typed, route in routes.items()
        if route.get("lora") and (allowed is None or route["style"] in allowed)
    }
    if name:
        if name not in usable:
            raise UnknownModel(model=name, param="model")
        return _model(usable[name])
    public = {route["name"]: route for route in usable.values()}
    return {"object": "list", "data": [_model(public[name]) for name in sorted(public)]}


async def _read(gateway: Gateway, caller: Caller) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    try:
        written = await gateway.valkey.ask("HGETALL", caller.names.api_key)
        routes = await gateway.valkey.ask("HGETALL", caller.names.styles)
    except (RedisError, OSError) as error:
        raise GateUnavailable from error
    key, styles = _hash(written), _hash(routes)
    return (key if styles else {}), {name: json.loads(route) for name, route in styles.items()}


def _hash(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _model(route: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": route["name"],
        "object": "model",
        "created": route.get("created") or 0,
        "owned_by": route["name"].split("/")[0] if "/" in route["name"] else "polyscribe",
        "root": route["base_model"],
    }
