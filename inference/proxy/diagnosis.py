"""What a failure at an engine means: the request's own fault, the engine's death, or an engine that is away.

Only the party at fault bears the failure. A complete 5xx is the request's own fault, unless the engine
says that it is ill. A request that broke off is the engine's fault. Where the engine is down, or others broke
off with it, the request may be what killed it.
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
    LimitsUnavailable,
    RequestFailed,
    UnservableInput,
)
from inference.proxy import suspects
from inference.proxy.backends import Backend
from inference.proxy.health import Health
from inference.proxy.runtime import Gateway
from inference.quota.admission import Caller, Grant


async def diagnose(
    gateway: Gateway,
    error: DomainError,
    *,
    grant: Grant,
    parsed: ParsedRequest,
    place: Place,
    backend: Backend,
    state: str,
) -> DomainError:
    """Return the error that a failure is, and note it for the requests that come after."""
    tenant = grant.caller.names.tenant
    health: Health | None = None
    if isinstance(error, EngineBroke):
        backend.mark_broken_off()
    engine_had_request = isinstance(error, EngineBroke | RequestFailed | UnservableInput)
    if engine_had_request:
        health = await gateway.health.check(place.url)
    if health == "up" and isinstance(error, RequestFailed | UnservableInput):  # a complete answer
        backend.mark_working()
    failure = _name_failure(error, health, is_alone=not backend.broke_off_others())
    if isinstance(failure, EngineDied):
        await mark_suspect(gateway, grant.caller, parsed)
    backend.mark_failed(
        place.adapter, failure, tenant=tenant, request=grant.request_id, is_down=health == "down"
    )
    telemetry.engine_failure(
        request=grant.request_id,
        tenant=tenant,
        engine=place.engine,
        reason=type(error).__name__,
        health=health or "unknown",
        state=state,
    )
    return failure


async def mark_suspect(gateway: Gateway, caller: Caller, parsed: ParsedRequest) -> None:
    """Have nobody send this request again for a while, if Valkey answers."""
    # The client waits for its error. A request that can't be marked may come once more.
    with suppress(LimitsUnavailable):
        await suspects.add_suspect(gateway.valkey, caller, parsed)


def _name_failure(error: DomainError, health: Health | None, *, is_alone: bool) -> DomainError:
    broke_with_others = isinstance(error, EngineBroke) and not (health == "up" and is_alone)
    if health == "down" or broke_with_others:
        return EngineDied(minutes=suspects.SUSPECT_FOR_S // 60)
    return RequestFailed() if isinstance(error, EngineSilent) else error
