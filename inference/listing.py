"""`GET /v1/models`: only what this key may use, never the engine's own list."""

import json
from typing import Any

from redis.exceptions import RedisError

from foundation import valkey
from inference.admission import Caller
from inference.errors import GateUnavailable, RevokedKey, UnknownModel
from inference.gateway import Gateway


async def models_of(gateway: Gateway, caller: Caller, name: str = "") -> dict[str, Any]:
    """Return OpenAI's list object, or one model object when a name is given. Raises UnknownModel."""
    key, routes = await _read(gateway, caller)
    if not key:
        await gateway.warm(caller.tenant_id)
        key, routes = await _read(gateway, caller)
    if key.get("state") != "live":
        raise RevokedKey
    allowed = set(key["styles"].split(",")) if key["styles"] else None
    usable = {
        typed: route
        for typed, route in routes.items()
        if route.get("lora") and (allowed is None or route["style"] is None or route["style"] in allowed)
    }
    if name:
        if name not in usable:
            raise UnknownModel(model=name, param="model")
        return _model(usable[name])
    public = {route["name"]: route for route in usable.values()}
    return {"object": "list", "data": [_model(public[name]) for name in sorted(public)]}


async def _read(gateway: Gateway, caller: Caller) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    pipe = gateway.redis.pipeline(transaction=False)
    pipe.hgetall(valkey.key_key(caller.tenant_id, caller.key_id))
    pipe.hgetall(valkey.styles_key(caller.tenant_id))
    try:
        key, styles = await pipe.execute()
    except (RedisError, OSError) as error:
        raise GateUnavailable from error
    return (key if styles else {}), {name: json.loads(route) for name, route in styles.items()}


def _model(route: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": route["name"],
        "object": "model",
        "created": route.get("created") or 0,
        "owned_by": route["name"].split("/")[0] if "/" in route["name"] else "polyscribe",
        "root": route["base_model"],
    }
