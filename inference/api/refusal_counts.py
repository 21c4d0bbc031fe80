"""Count a key's refused requests, and note them in its workspace's log. API and playground do it."""

from django.conf import settings

from inference.contract import http_errors
from inference.errors import DomainError, LimitsUnavailable, TooManyRefusals
from inference.proxy.runtime import Gateway
from inference.quota import refusal_log
from inference.quota.admission import Caller

CLIENT_ERRORS = range(400, 500)
TOKEN_COUNT_FACTOR = 16  # counting a prompt's tokens costs about so many times what reading the body costs


def count_refusal(
    gateway: Gateway, caller: Caller, error: DomainError, *, request_id: str, model: str, body_bytes: int
) -> None:
    """Count a refused request by its key if that is its sender's doing; note it in any case.

    `body_bytes` is the unpacked body. The count is written beside the answer: nobody waits for Valkey.
    """
    if isinstance(error, TooManyRefusals | LimitsUnavailable):
        return
    refusals = gateway.refusals
    status, _ = http_errors.status_and_type(error)
    noted = None
    if refusals.notes.take(caller.tenant_id):
        noted = refusal_log.note_of(error, request_id=request_id, caller=caller, model=model, status=status)
    if status in CLIENT_ERRORS or error.facts.get("is_senders_doing"):
        factor = TOKEN_COUNT_FACTOR if error.facts.get("is_counted") else 1
        count_work(gateway, caller, factor * body_bytes, noted=noted)
    elif noted:
        gateway.keep(refusals.note(noted))


def count_work(
    gateway: Gateway, caller: Caller, body_bytes: int, *, noted: refusal_log.Noted | None = None
) -> None:
    """Count one request that no limit of the plan counts, with the work of reading so large a body."""
    counting = gateway.refusals.count(
        caller.names.refusals, body_bytes=body_bytes, most=settings.API_REFUSALS_PER_KEY, noted=noted
    )
    gateway.keep(counting)
