"""The rows of stored responses and conversations: each function takes the workspace that asks.

`find_response` and `find_conversation` are the only ways to a row by an id that a client wrote.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_hex
from uuid import UUID

import orjson
from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import F, QuerySet, Sum
from django.utils import timezone

from core.names import read_id
from inference.contract.dialects.common import join_texts
from inference.contract.dialects.openai_responses import TEXT_TYPES, translate_input
from inference.errors import (
    ConversationFull,
    NoSuchConversation,
    NoSuchResponse,
    PreviousNotFound,
    StorageFull,
    TooLarge,
)
from inference.facts import JsonObject
from inference.models import Conversation, ConversationItem, StoredBytes, StoredResponse
from inference.proxy.bodies import BODY_MAX_BYTES
from tenants.models import Tenant

# Items of an input as they are stored and as clients get them back: with an id, their texts in parts.

PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fco"}


def read_items(sent: object) -> list[JsonObject]:
    """Return the items of an input, each with a new id; reasoning, which no prompt has, is left out.

    Raises BadRequest naming the item that is wrong.
    """
    translate_input(sent)  # raises where an item has another form
    if isinstance(sent, str):
        return [_store_message({"role": "user", "content": sent})]
    assert isinstance(sent, list)
    items = []
    for item in sent:
        kind = item.get("type") or "message"
        if kind == "message":
            items.append(_store_message(item))
        elif kind == "function_call":
            items.append(_begin_item(kind) | {name: item[name] for name in ("call_id", "name", "arguments")})
        elif kind == "function_call_output":
            output = join_texts(item["output"], "output", TEXT_TYPES)
            items.append(_begin_item(kind) | {"call_id": item["call_id"], "output": output})
    return items


def _begin_item(kind: str) -> JsonObject:
    return {"id": f"{PREFIXES[kind]}_{token_hex(16)}", "type": kind, "status": "completed"}


def _store_message(item: JsonObject) -> JsonObject:
    is_output = item["role"] == "assistant"
    content = item["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    parts = [_store_part(block, is_output=is_output) for block in blocks]
    return _begin_item("message") | {"role": item["role"], "content": parts}


def _store_part(block: JsonObject, *, is_output: bool) -> JsonObject:
    if block["type"] == "refusal":
        return {"type": "refusal", "refusal": block["refusal"]}
    if is_output:
        return {"type": "output_text", "text": block["text"], "annotations": [], "logprobs": []}
    return {"type": "input_text", "text": block["text"]}


RESPONSE, CONVERSATION = "resp_", "conv_"
MIB = 1024 * 1024
ROW_BYTES = 512  # what an empty row takes, with its place in the indexes
KEY_BYTES = 16  # of a UUID
PRUNED_AT_ONCE = 1_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Turn:
    """A request that is to be stored with its response, or in a conversation, or both."""

    tenant_id: UUID
    key_id: UUID
    items: Sequence[JsonObject]
    is_stored: bool
    previous: StoredResponse | None = None
    conversation: Conversation | None = None


def find_response(tenant_id: UUID, written: str) -> StoredResponse:
    """Return a workspace's response by its id. Raises NoSuchResponse for all others, whatever they are."""
    response_id = read_id(written, RESPONSE)
    found = StoredResponse.objects.of(tenant_id).filter(pk=response_id).first() if response_id else None
    if found is None:
        raise NoSuchResponse(id=written[:100])
    return found


def find_conversation(tenant_id: UUID, written: str) -> Conversation:
    """Return a workspace's conversation by its id. Raises NoSuchConversation for all others."""
    conversation_id = read_id(written, CONVERSATION)
    found = Conversation.objects.of(tenant_id).filter(pk=conversation_id).first() if conversation_id else None
    if found is None:
        raise NoSuchConversation(id=written[:100])
    return found


def load_previous(tenant_id: UUID, written: str) -> tuple[StoredResponse, list[JsonObject]]:
    """Return a response, and the whole conversation up to its end.

    Raises PreviousNotFound if it, or one that it builds on, is not there, and TooLarge.
    """
    try:
        previous = find_response(tenant_id, written)
    except NoSuchResponse as error:
        raise PreviousNotFound(id=written[:100]) from error
    if previous.chain_bytes > BODY_MAX_BYTES:
        raise TooLarge(limit_bytes=BODY_MAX_BYTES)
    return previous, list_history(previous, is_whole=True)


def list_input(response: StoredResponse) -> list[JsonObject]:
    """Return the items that a response was made from, as far as they are still there."""
    items = list_history(response)
    output_count = len(orjson.loads(response.response)["output"])
    return items[: len(items) - output_count]


def list_history(response: StoredResponse, *, is_whole: bool = False) -> list[JsonObject]:
    """Return the items of a response's ancestors that are still there, and its own. With `is_whole`, raise
    PreviousNotFound where one is missing."""
    chain = {response.pk: response}
    if response.ancestors:
        # Of the same workspace, and within the same retention, as if each were asked for by itself.
        chain |= StoredResponse.objects.of(response.tenant_id).in_bulk(response.ancestors)
    items: list[JsonObject] = []
    for response_id in (*response.ancestors, response.pk):
        if response_id in chain:
            items += orjson.loads(chain[response_id].items)
            items += orjson.loads(chain[response_id].response)["output"]
        elif is_whole:
            raise PreviousNotFound(id=f"{RESPONSE}{response_id.hex}")
    return items


def load_conversation(tenant_id: UUID, written: str) -> tuple[Conversation, list[JsonObject]]:
    """Return a conversation and its items, the oldest first. Raises NoSuchConversation."""
    conversation = find_conversation(tenant_id, written)
    contents = conversation.items.order_by("position").values_list("content", flat=True)
    return conversation, [orjson.loads(content) for content in contents]


def require_room(tenant_id: UUID) -> None:
    """Raise StorageFull where a workspace stores as much as it may."""
    stored = StoredBytes.objects.filter(pk=tenant_id).values_list("used_bytes", flat=True).first()
    if (stored or 0) >= settings.RESPONSES_MAX_MIB * MIB:
        raise StorageFull(most=settings.RESPONSES_MAX_MIB)


def require_room_in(conversation: Conversation, items: Iterable[JsonObject]) -> None:
    """Raise ConversationFull where a conversation has no room for items, even without an answer."""
    _require_fits(conversation, sum(_measure(orjson.dumps(item)) for item in items))


def _require_fits(conversation: Conversation, added_bytes: int) -> None:
    if conversation.size_bytes + added_bytes > BODY_MAX_BYTES:
        raise ConversationFull(limit_bytes=BODY_MAX_BYTES)


def _measure(content: bytes) -> int:
    """Return how many bytes an item's row counts."""
    return len(content) + ROW_BYTES


@transaction.atomic
def save_turn(turn: Turn, response: JsonObject) -> None:
    """Store a response, and add its input and output to its conversation."""
    # The conversation's row is locked before the workspace's count, as everywhere.
    if turn.conversation:
        append_items(turn.conversation, [*turn.items, *response["output"]])
    if turn.is_stored:
        _create_response(turn, response)


def _create_response(turn: Turn, response: JsonObject) -> None:
    items, written = orjson.dumps(turn.items), orjson.dumps(response)
    previous = turn.previous
    ancestors = [*previous.ancestors, previous.pk] if previous else []
    size_bytes = len(items) + len(written) + ROW_BYTES + KEY_BYTES * len(ancestors)
    prompt_bytes = len(items) + len(orjson.dumps(response["output"]))  # what the next turn's prompt has of it
    StoredResponse.objects.create(
        pk=UUID(hex=response["id"].removeprefix(RESPONSE)),
        tenant_id=turn.tenant_id,
        key_id=turn.key_id,
        model=(response["model"] or "")[:200],
        ancestors=ancestors,
        conversation_id=turn.conversation.pk if turn.conversation else None,
        items=items,
        response=written,
        size_bytes=size_bytes,
        chain_bytes=prompt_bytes + (previous.chain_bytes if previous else 0),
    )
    _count_bytes(turn.tenant_id, size_bytes)


def create_conversation(tenant_id: UUID, items: Sequence[JsonObject], metadata: JsonObject) -> Conversation:
    """Return a new conversation with its first items. Raises StorageFull, ConversationFull."""
    require_room(tenant_id)
    with transaction.atomic():
        size_bytes = len(orjson.dumps(metadata))
        conversation = Conversation.objects.create(
            tenant_id=tenant_id, metadata=metadata, size_bytes=size_bytes
        )
        _count_bytes(tenant_id, ROW_BYTES + size_bytes)
        append_items(conversation, items)
    return conversation


@transaction.atomic
def append_items(conversation: Conversation, items: Iterable[JsonObject]) -> None:
    """Add items at the end, each caller's together.

    Raises ConversationFull, and NoSuchConversation if it was deleted meanwhile.
    """
    locked = _lock_conversation(conversation)
    if locked is None:
        raise NoSuchConversation(id=str(conversation))
    added = []
    added_bytes = 0
    for position, item in enumerate(items, locked.last_position + 1):
        content = orjson.dumps(item)
        size_bytes = _measure(content)
        added_bytes += size_bytes
        added.append(
            ConversationItem(
                conversation=locked,
                position=position,
                public_id=item["id"],
                content=content,
                size_bytes=size_bytes,
            )
        )
    _require_fits(locked, added_bytes)
    ConversationItem.objects.bulk_create(added)
    Conversation.objects.filter(pk=locked.pk).update(
        last_position=locked.last_position + len(added),
        size_bytes=F("size_bytes") + added_bytes,
        changed_at=timezone.now(),
    )
    _count_bytes(locked.tenant_id, added_bytes)


def _lock_conversation(conversation: Conversation) -> Conversation | None:
    """Return a conversation as it is now, locked until the transaction ends; None where it was deleted, or
    its workspace's retention ended it meanwhile: a change would bring it back."""
    rows = Conversation.objects.of(conversation.tenant_id).filter(pk=conversation.pk)
    return rows.select_for_update(no_key=True, of=("self",)).first()


@transaction.atomic
def change_metadata(conversation: Conversation, metadata: JsonObject) -> None:
    """Replace a conversation's metadata. Raises StorageFull where it grows."""
    locked = _lock_conversation(conversation)
    if locked is None:
        return
    added_bytes = len(orjson.dumps(metadata)) - len(orjson.dumps(locked.metadata))
    if added_bytes > 0:
        require_room(locked.tenant_id)
    conversation.metadata = metadata
    Conversation.objects.filter(pk=locked.pk).update(
        metadata=metadata, size_bytes=F("size_bytes") + added_bytes, changed_at=timezone.now()
    )
    _count_bytes(locked.tenant_id, added_bytes)


@transaction.atomic
def delete_item(conversation: Conversation, item: ConversationItem) -> None:
    """Delete one item of a conversation. Safe to repeat."""
    locked = _lock_conversation(conversation)
    if locked and ConversationItem.objects.filter(pk=item.pk).delete()[0]:
        Conversation.objects.filter(pk=locked.pk).update(
            size_bytes=F("size_bytes") - item.size_bytes, changed_at=timezone.now()
        )
        _count_bytes(conversation.tenant_id, -item.size_bytes)


@transaction.atomic
def delete_response(response: StoredResponse) -> None:
    """Delete a response. Those that build on it can't be continued."""
    if StoredResponse.objects.filter(pk=response.pk).delete()[0]:
        _count_bytes(response.tenant_id, -response.size_bytes)


@transaction.atomic
def delete_conversation(conversation: Conversation) -> None:
    """Delete a conversation with its items; responses stay."""
    locked = Conversation.objects.select_for_update().filter(pk=conversation.pk).first()
    if locked:
        locked.delete()
        _count_bytes(locked.tenant_id, -locked.size_bytes - ROW_BYTES)


def prune_responses() -> int:
    """Delete what the workspaces' retention no longer keeps; return how many rows. Safe to repeat."""
    storing = Tenant.objects.filter(pk__in=StoredBytes.objects.values("pk"))
    pruned = 0
    for tenant in storing.order_by("pk"):
        try:
            pruned += prune_workspace(tenant)
        except (
            DatabaseError
        ):  # a conversation that was deleted while something was added: the next run has it
            logger.warning("responses of %s were not pruned", tenant.pk, exc_info=True)
    return pruned


def prune_workspace(tenant: Tenant) -> int:
    """Delete what a workspace's retention no longer keeps, or all that it stored if it keeps nothing or is
    deleted; return how many rows. Safe to repeat."""
    days = tenant.responses_kept_days if tenant.deleted_at is None else None
    until = timezone.now() - timedelta(days=days or 0)
    if tenant.responses_kept_since:
        until = max(until, tenant.responses_kept_since)
    old_responses = StoredResponse.objects.filter(tenant=tenant, created_at__lte=until)
    old_conversations = Conversation.objects.filter(tenant=tenant, changed_at__lte=until)
    return _delete_rows(tenant, old_responses) + _delete_rows(tenant, old_conversations)


def _delete_rows(tenant: Tenant, rows: QuerySet[StoredResponse] | QuerySet[Conversation]) -> int:
    deleted = 0
    while keys := list(rows.values_list("pk", flat=True)[:PRUNED_AT_ONCE]):
        with transaction.atomic():
            rows.filter(pk__in=keys).delete()
            _recount_bytes(tenant.pk)
        deleted += len(keys)
    return deleted


def _recount_bytes(tenant_id: UUID) -> None:
    """Add up what a workspace stores. Its row is locked first, so that nothing is counted twice."""
    counted = StoredBytes.objects.select_for_update().filter(pk=tenant_id)
    if not counted.first():
        return
    responses = StoredResponse.objects.filter(tenant_id=tenant_id).aggregate(total=Sum("size_bytes"))
    conversations = Conversation.objects.filter(tenant_id=tenant_id).aggregate(
        total=Sum(F("size_bytes") + ROW_BYTES)
    )
    used_bytes = (responses["total"] or 0) + (conversations["total"] or 0)
    if used_bytes:
        counted.update(used_bytes=used_bytes)
    else:
        counted.delete()


def _count_bytes(tenant_id: UUID, added_bytes: int) -> None:
    """Count what a transaction adds, as its last step: others of the workspace wait for its end."""
    stored = StoredBytes.objects.filter(pk=tenant_id)
    if not stored.update(used_bytes=F("used_bytes") + added_bytes) and added_bytes > 0:
        _, is_new = StoredBytes.objects.get_or_create(pk=tenant_id, defaults={"used_bytes": added_bytes})
        if not is_new:  # another one was first
            stored.update(used_bytes=F("used_bytes") + added_bytes)
