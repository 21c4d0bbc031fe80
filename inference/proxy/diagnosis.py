"""What a failure at an engine means: the request's own fault, the engine's death, or an engine that is away.

Whoever is at fault feels it, and nobody else: a complete 5xx is the request's own, unless the engine says
that it is ill. A request that broke off is the engine's; where the engine is down or others broke off with
it, the request may be what killed it.
"""

from contextlib import suppress

from inference import telemetry
from inference.contract.requests import ParsedRequest
from inference.contract.route import Place
from inference.errors import (
    DomainError,
    EngineBroke,
    EngineDied,
    EngineSilent,
    GateUnavailable,
    RequestFailed,
    UnservableInput,
)
from inference.proxy import suspects
from inference.proxy.backends import Backend
from inference.proxy.health import Health
from inference.proxy.runtime import Gateway
from inference.quota.admission import Caller


async def diagnose(
    gateway: Gateway,
    place: Place,
    backend: Backend,
    error: DomainError,
    *,
    caller: Caller,
    parsed: ParsedRequest,
    request_id: str,
) -> DomainError:
    """Return the error that a failure is, and note it for those who come after."""
    health: Health | None = None
    if isinstance(error, EngineBroke):
        backend.broke_off()
    if isinstance(error, EngineBroke | RequestFailed | UnservableInput):  # the engine had it
        health = await gateway.health.check(place.url)
    failure = _failure(error, health, is_alone=not backend.broke_with_others())
    if isinstance(failure, EngineDied):
        await suspect(gateway, caller, parsed)
    tenant = caller.names.tenant
    backend.failed(place.adapter, failure, tenant=tenant, is_down=health == "down")
    telemetry.engine_failure(
        request=request_id, tenant=tenant, engine=place.engine, reason=type(error).__name__,
        health=health or "unknown",
    )  # fmt: skip
    return failure


async def suspect(gateway: Gateway, caller: Caller, parsed: ParsedRequest) -> None:
    """Have nobody send this request again for a while, if Valkey answers."""
    with suppress(GateUnavailable):
        await suspects.suspect(gateway.valkey, caller, parsed)


def _failure(error: DomainError, health: Health | None, *, is_alone: bool) -> DomainError:
    if health == "down":
        return EngineDied(minutes=suspects.SUSPECT_FOR_S // 60)
    if isinstance(error, EngineBroke) and not (health == "up" and is_alone):
        return EngineDied(minutes=suspects.SUSPECT_FOR_S // 60)
    return RequestFailed() if isinstance(error, EngineSilent) else error
