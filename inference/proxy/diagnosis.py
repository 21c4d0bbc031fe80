"""What a failure at an engine means: the request's own fault, the engine's death, or an engine that is away.

Only the party at fault bears the failure. A complete 5xx is the request's own fault, unless the engine
says that it is ill: however many such requests there are, the engine stays open to all others. A request
that broke off is the engine's fault. Where the engine is down, or others broke off with it, the request may
be what killed it.
"""

from contextlib import suppress

from inference import telemetry
from inference.contract.requests import ParsedRequest
from inference.contract.route import Placement
from inference.errors import (
    DomainError,
    EngineBroke,
    EngineDied,
    EngineFailure,
    EngineSilent,
    FailingRequest,
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
    placement: Placement,
    backend: Backend,
    state: str,
) -> DomainError:
    """Return the error that a failure is, and note it for the requests that come after."""
    tenant = grant.caller.names.tenant
    health: Health | None = None
    is_complete = _is_complete(error)
    if isinstance(error, EngineBroke) and not is_complete:
        backend.mark_broken_off()
    if is_complete or isinstance(error, EngineBroke):  # the engine had the request
        health = await gateway.health.check(placement.url)
    is_own_fault = is_complete and health == "up"
    if is_own_fault:
        is_500 = isinstance(error, RequestFailed) and error.is_complete
        failure = FailingRequest() if is_500 else error
    else:
        failure = _name_failure(error, health, is_alone=not backend.broke_off_others())
    if isinstance(failure, EngineDied):
        await mark_suspect(gateway, grant.caller, parsed)
    if is_own_fault:
        backend.mark_working()
    else:
        backend.mark_failed(
            placement.adapter, failure, tenant=tenant, request=grant.request_id, is_down=health == "down"
        )
    telemetry.engine_failure(
        request=grant.request_id,
        tenant=tenant,
        engine=placement.engine,
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


def _is_complete(error: DomainError) -> bool:
    """Return whether the engine answered to the end, although with a failure."""
    if isinstance(error, RequestFailed | UnservableInput):
        return True
    return isinstance(error, EngineFailure) and error.is_complete


def _name_failure(error: DomainError, health: Health | None, *, is_alone: bool) -> DomainError:
    broke_with_others = isinstance(error, EngineBroke) and not (health == "up" and is_alone)
    if health == "down" or broke_with_others:
        return EngineDied(minutes=suspects.SUSPECT_FOR_S // 60)
    return RequestFailed() if isinstance(error, EngineSilent) else error
