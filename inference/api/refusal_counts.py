"""Count a key's refused requests, and log them for its workspace. API and playground do it."""

from django.conf import settings

from inference.contract import http_errors
from inference.errors import DomainError, EngineBusy, Limited, LimitsUnavailable, TooManyRefusals
from inference.proxy.runtime import Gateway
from inference.quota import refusal_log
from inference.quota.admission import Caller

CLIENT_ERRORS = range(400, 500)
TOKEN_COUNT_FACTOR = 16  # counting a prompt's tokens costs about so many times what reading the body costs


def count_refusal(
    gateway: Gateway, caller: Caller, error: DomainError, *, request_id: str, model: str, body_bytes: int
) -> None:
    """Count a refused request by its key if that is its sender's doing; log it in any case.

    `body_bytes` is the unpacked body. The count is written beside the answer: nobody waits for Valkey.
    """
    if isinstance(error, TooManyRefusals | LimitsUnavailable):
        return
    refusals = gateway.refusals
    status, _ = http_errors.status_and_type(error)
    entry = None
    if refusals.log_rate.take(caller.tenant_id):
        entry = refusal_log.log_entry(error, request_id=request_id, caller=caller, model=model, status=status)
    is_senders_doing = isinstance(error, EngineBusy) and error.is_senders_doing
    if status in CLIENT_ERRORS or is_senders_doing:
        was_counted = isinstance(error, Limited) and error.was_counted
        factor = TOKEN_COUNT_FACTOR if was_counted else 1
        count_work(gateway, caller, factor * body_bytes, entry=entry)
    elif entry:
        gateway.tasks.spawn(refusals.log(entry))


def count_work(
    gateway: Gateway, caller: Caller, body_bytes: int, *, entry: refusal_log.LogEntry | None = None
) -> None:
    """Count one request that no limit of the plan counts, with the work of reading so large a body."""
    counting = gateway.refusals.count(
        caller.names.refusals, body_bytes=body_bytes, most=settings.API_REFUSALS_PER_KEY, entry=entry
    )
    gateway.tasks.spawn(counting)
