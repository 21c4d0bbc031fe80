"""The log of refused requests: what the gateway writes into Valkey, and the drain to PostgreSQL.

A refusal is logged by the script that counts it, beside the answer: no request waits for it. A workspace's
stream keeps the newest MAX_LOGGED between two drains, so a flood of refusals costs no memory and few rows.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from django.utils.translation import gettext_noop as _

from core import valkey
from core.errors import DomainError, Invalid
from core.messages import Message, MessageCode, read_message, write_message
from inference.contract import http_errors
from inference.errors import ContextTooLong, TooManySequences
from inference.facts import Store
from inference.quota.admission import Caller
from inference.quota.scripts import FORGET_REFUSALS
from metering.request_log import Refusal, record_refusals

# The keys and arguments with which the script that counts a refusal logs it.
type LogEntry = tuple[tuple[str, str], tuple[str, ...]]

MAX_LOGGED = 100  # of a workspace between two drains
# Bounds one run of the task. They are drawn at random, so a broken one holds up no other for long.
WORKSPACES_PER_RUN = 200
MAX_MODEL = 100


def log_entry(error: DomainError, *, request_id: str, caller: Caller, model: str, status: int) -> LogEntry:
    """Return what a workspace's log says of a refused request."""
    keys = (valkey.refused_requests_key(caller.names.tenant), valkey.refusing_workspaces_key())
    model = str(error.facts.get("model") or model)[:MAX_MODEL]
    facts = (
        caller.names.tenant,
        str(MAX_LOGGED),
        request_id,
        caller.names.key,
        model,
        str(status),
        error.code,
    )
    return keys, (*facts, write_message(reason_of(error)))


class RefusalReason(MessageCode):
    """Why a body was refused, without a word of it."""

    INVALID = _("The request is invalid.")
    INVALID_FIELD = _("The request is invalid: see `{field}`.")


def reason_of(error: DomainError) -> Message:
    """Return why a request was refused. What it said is not repeated: a message about a body may quote it."""
    is_about_body = isinstance(error, Invalid) and not isinstance(error, ContextTooLong | TooManySequences)
    if not is_about_body:
        return Message.of(error)
    field = http_errors.param_of(error)
    return RefusalReason.INVALID_FIELD(field=field) if field else RefusalReason.INVALID()


def drain_refusals(client: Store) -> int:
    """Move logged refusals into PostgreSQL; return how many. Safe from many processes, and safe to repeat.

    An entry leaves its stream only after PostgreSQL has it.
    """
    moved = 0
    forget = client.register_script(FORGET_REFUSALS)
    for tenant_id in client.srandmember(valkey.refusing_workspaces_key(), WORKSPACES_PER_RUN):
        stream = valkey.refused_requests_key(tenant_id)
        entries = client.xrange(stream)
        moved += record_refusals(list(_read_entries(tenant_id, entries)))
        ids = [entry_id for entry_id, _ in entries]
        forget([stream, valkey.refusing_workspaces_key()], [tenant_id, *ids])
    return moved


def _read_entries(tenant_id: str, entries: Iterable[tuple[str, dict[str, str]]]) -> Iterable[Refusal]:
    for entry_id, fields in entries:
        refused_ms = int(entry_id.partition("-")[0])
        yield Refusal(
            request_id=fields["request"],
            tenant_id=UUID(tenant_id),
            key_id=UUID(fields["key"]),
            at=datetime.fromtimestamp(refused_ms / 1000, UTC),
            # PostgreSQL takes no NUL in a text.
            model_name=fields["model"].replace("\x00", ""),
            status=int(fields["status"]),
            code=fields["code"],
            reason=read_message(fields["reason"]),
        )
