"""Stored responses, and `/v1/conversations`.

https://developers.openai.com/api/reference/resources/responses and …/conversations
"""

from typing import Any, ClassVar

import orjson
from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.rest.bodies import StrictSerializer, TextField
from inference.errors import BadRequest, NoSuchItem, NothingStored, UnknownPath
from inference.facts import JsonObject
from inference.models import Conversation, ConversationItem
from inference.openai_views.base import OpenAiView, read_limit, unix_time
from inference.openai_views.schema import AFTER, limit_of, operation
from inference.responses import store
from inference.responses.store import read_items
from tenants.models import Scope

# The shapes of stored responses and conversations: what is sent, and what the OpenAPI document describes.

MAX_METADATA, MAX_KEY, MAX_VALUE = 16, 64, 512
MAX_ITEMS = 20
RESPONSE_ID = "resp_0b0c7f0e1d1d4c3c9a556a7f0f3b2c11"
CONVERSATION_ID = "conv_8a4d2f4c6a524f0cbb1f3f5a5f7f0a10"
ITEM = {
    "id": "msg_5c1f7f0e1d1d4c3c9a556a7f0f3b2c12",
    "type": "message",
    "status": "completed",
    "role": "user",
    "content": [{"type": "input_text", "text": "Describe the rain."}],
}


class MetadataField(serializers.DictField):
    """Up to 16 pairs."""

    child = TextField(max_length=MAX_VALUE, allow_blank=True)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return the pairs. Raises ValidationError beyond OpenAI's limits."""
        pairs: dict[str, Any] = super().to_internal_value(data)
        for key in pairs:
            TextField(max_length=MAX_KEY).run_validation(key)
        if len(pairs) > MAX_METADATA:
            raise serializers.ValidationError(f"Must have at most {MAX_METADATA} pairs.")
        return pairs


class ItemsField(serializers.ListField):
    """Items, which `inference.responses.store` reads."""

    child = serializers.DictField()

    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_length=MAX_ITEMS,
            help_text=f"Up to {MAX_ITEMS} messages, function calls and their outputs.",
            **options,
        )

    def to_internal_value(self, data: Any) -> list[Any]:
        """Return the items. Raises ValidationError also for what can't be written as JSON again."""
        items: list[Any] = super().to_internal_value(data)
        try:
            orjson.dumps(items)
        except orjson.JSONEncodeError:
            raise serializers.ValidationError(
                "Must not be nested too deeply, nor have half of a surrogate pair."
            ) from None
        return items


class ConversationBody(StrictSerializer):
    """A new conversation."""

    items = ItemsField(required=False, allow_null=True)
    metadata = MetadataField(required=False, allow_null=True)


class ConversationChange(StrictSerializer):
    """What can be changed about a conversation."""

    metadata = MetadataField()


class ItemsBody(StrictSerializer):
    """New items of a conversation."""

    items = ItemsField(min_length=1)


class ResponseObject(serializers.Serializer[Any]):
    """A response as it was made, with all fields of its creation."""

    example: ClassVar = {
        "id": RESPONSE_ID,
        "object": "response",
        "created_at": 1795600000,
        "status": "completed",
        "model": "poetry",
        "output": [ITEM | {"role": "assistant", "content": [{"type": "output_text", "text": "Soft rain."}]}],
        "previous_response_id": None,
        "store": True,
    }

    id = serializers.CharField()
    object = serializers.CharField(help_text="Always `response`.")
    created_at = serializers.IntegerField(help_text="Unix time in seconds.")
    status = serializers.CharField(help_text="`completed` or `incomplete`.")
    model = serializers.CharField()
    output = serializers.ListField(child=serializers.DictField(), help_text="What the model wrote.")
    previous_response_id = serializers.CharField(allow_null=True, help_text="The response that it builds on.")
    store = serializers.BooleanField(help_text="Always true.")


class StoredItem(serializers.Serializer[Any]):
    """A message, a function call or its output."""

    example: ClassVar = ITEM

    id = serializers.CharField()
    type = serializers.CharField(help_text="`message`, `function_call` or `function_call_output`.")
    status = serializers.CharField()
    role = serializers.CharField(required=False, help_text="Of a message.")
    content = serializers.ListField(
        child=serializers.DictField(), required=False, help_text="Of a message: its parts."
    )
    call_id = serializers.CharField(required=False, help_text="Of a function call and of its output.")
    name = serializers.CharField(required=False, help_text="Of a function call.")
    arguments = serializers.CharField(required=False, help_text="Of a function call, as JSON.")
    output = serializers.CharField(required=False, help_text="Of a function call's output.")


class StoredConversation(serializers.Serializer[Any]):
    """A conversation. Its items are listed separately."""

    example: ClassVar = {
        "id": CONVERSATION_ID,
        "object": "conversation",
        "created_at": 1795600000,
        "metadata": {"topic": "weather"},
    }

    id = serializers.CharField()
    object = serializers.CharField(help_text="Always `conversation`.")
    created_at = serializers.IntegerField(help_text="Unix time in seconds.")
    metadata = serializers.DictField(child=serializers.CharField())


class DeletedObject(serializers.Serializer[Any]):
    """A response or a conversation that is gone."""

    example: ClassVar = {"id": CONVERSATION_ID, "object": "conversation.deleted", "deleted": True}

    id = serializers.CharField()
    object = serializers.CharField(help_text="`response` or `conversation.deleted`.")
    deleted = serializers.BooleanField()


DEFAULT_LIMIT, MAX_LIMIT = 20, 100
ORDER = OpenApiParameter(
    "order", OpenApiTypes.STR, enum=["asc", "desc"], description="The newest first unless it is `asc`."
)
PAGE = [AFTER, limit_of(DEFAULT_LIMIT, MAX_LIMIT), ORDER]


class StoredView(OpenAiView):
    """A view of what a workspace has us store."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Answer as any unknown address where this service stores nothing."""
        if not settings.RESPONSES_STORE:
            raise UnknownPath
        super().initial(request, *args, **kwargs)
        if not self.access.tenant.responses_kept_days:
            raise NothingStored

    def find_conversation(self, written: str) -> Conversation:
        """Return one of the workspace's conversations. Raises NoSuchConversation."""
        return store.find_conversation(self.access.tenant.pk, written)


class ResponseView(StoredView):
    """A stored response."""

    @operation("responses.get", "Get a response", scope=Scope.INFERENCE, answer=ResponseObject)
    def get(self, request: Request, response_id: str) -> Response:
        """Return a stored response. Streaming it again is not supported."""
        if request.query_params.get("stream") == "true":
            raise BadRequest("A stored response can't be streamed again.", param="stream")
        found = store.find_response(self.access.tenant.pk, response_id)
        return Response(orjson.loads(found.response))

    @operation("responses.delete", "Delete a response", scope=Scope.INFERENCE, answer=DeletedObject)
    def delete(self, request: Request, response_id: str) -> Response:
        """Delete a stored response. Responses that build on it stay, but can't be continued."""
        found = store.find_response(self.access.tenant.pk, response_id)
        store.delete_response(found)
        return Response({"id": str(found), "object": "response", "deleted": True})


class CancelView(StoredView):
    """The end of a response that is being made in the background: there is none."""

    @operation("responses.cancel", "Cancel a response", scope=Scope.INFERENCE, answer=ResponseObject)
    def post(self, request: Request, response_id: str) -> Response:
        """Only background responses can be cancelled, and there are none: a response that exists is complete.
        To stop one that is being written, close the connection."""
        store.find_response(self.access.tenant.pk, response_id)
        raise BadRequest(
            "Cannot cancel a synchronous response. To stop one that is being written, close the connection.",
            param="response_id",
        )


class InputItemsView(StoredView):
    """What a response was made from."""

    @operation(
        "responses.input_items",
        "List the input items of a response",
        scope=Scope.INFERENCE,
        answer=StoredItem,
        is_list=True,
        parameters=PAGE,
    )
    def get(self, request: Request, response_id: str) -> Response:
        """Return the items that a response was made from, with those of the responses that it builds on."""
        found = store.find_response(self.access.tenant.pk, response_id)
        items = store.list_input(found)
        if not is_ascending(request):
            items.reverse()
        limit = read_limit(request, default=DEFAULT_LIMIT, most=MAX_LIMIT)
        after = request.query_params.get("after")
        if after:
            ids = [item["id"] for item in items]
            if after not in ids:
                raise BadRequest("`after` names no input item of this response.", param="after")
            items = items[ids.index(after) + 1 :]
        return Response(list_items(items[:limit], has_more=len(items) > limit))


class ConversationsView(StoredView):
    """The workspace's conversations."""

    @operation(
        "conversations.create",
        "Create a conversation",
        scope=Scope.INFERENCE,
        answer=StoredConversation,
        body=ConversationBody,
        body_example={"metadata": {"topic": "weather"}},
    )
    def post(self, request: Request) -> Response:
        """Create a conversation, with items if you send some. Responses that name it read its items, and add
        their own. It is kept for as many days as the workspace stores responses, from its last change."""
        body = self.read_body(ConversationBody)
        items = read_items(body.get("items") or [])
        created = store.create_conversation(self.access.tenant.pk, items, body.get("metadata") or {})
        return Response(present_conversation(created))


class ConversationView(StoredView):
    """A conversation."""

    @operation("conversations.get", "Get a conversation", scope=Scope.INFERENCE, answer=StoredConversation)
    def get(self, request: Request, conversation_id: str) -> Response:
        """Return a conversation without its items."""
        return Response(present_conversation(self.find_conversation(conversation_id)))

    @operation(
        "conversations.update",
        "Update a conversation",
        scope=Scope.INFERENCE,
        answer=StoredConversation,
        body=ConversationChange,
        body_example={"metadata": {"topic": "weather"}},
    )
    def post(self, request: Request, conversation_id: str) -> Response:
        """Replace the metadata."""
        conversation = self.find_conversation(conversation_id)
        store.change_metadata(conversation, self.read_body(ConversationChange)["metadata"])
        return Response(present_conversation(conversation))

    @operation("conversations.delete", "Delete a conversation", scope=Scope.INFERENCE, answer=DeletedObject)
    def delete(self, request: Request, conversation_id: str) -> Response:
        """Delete a conversation and its items. Responses that were made in it stay."""
        conversation = self.find_conversation(conversation_id)
        store.delete_conversation(conversation)
        return Response({"id": str(conversation), "object": "conversation.deleted", "deleted": True})


class ItemsView(StoredView):
    """The items of a conversation."""

    @operation(
        "conversations.items",
        "List the items of a conversation",
        scope=Scope.INFERENCE,
        answer=StoredItem,
        is_list=True,
        parameters=PAGE,
    )
    def get(self, request: Request, conversation_id: str) -> Response:
        """Return the items, newest first."""
        conversation = self.find_conversation(conversation_id)
        return self.answer_list(
            conversation.items.all(),
            present_item,
            find=lambda written: find_item(conversation, written),
            default_limit=DEFAULT_LIMIT,
            most=MAX_LIMIT,
            field="position",
            is_ascending=is_ascending(request),
        )

    @operation(
        "conversations.add_items",
        "Add items to a conversation",
        scope=Scope.INFERENCE,
        answer=StoredItem,
        is_list=True,
        body=ItemsBody,
        body_example={"items": [{"type": "message", "role": "user", "content": "Describe the rain."}]},
    )
    def post(self, request: Request, conversation_id: str) -> Response:
        """Add items at the end."""
        conversation = self.find_conversation(conversation_id)
        items = read_items(self.read_body(ItemsBody)["items"])
        store.require_room(conversation.tenant_id)
        store.append_items(conversation, items)
        return Response(list_items(items, has_more=False))


class ItemView(StoredView):
    """An item of a conversation."""

    @operation(
        "conversations.item", "Get an item of a conversation", scope=Scope.INFERENCE, answer=StoredItem
    )
    def get(self, request: Request, conversation_id: str, item_id: str) -> Response:
        """Return an item."""
        return Response(present_item(find_item(self.find_conversation(conversation_id), item_id)))

    @operation(
        "conversations.delete_item",
        "Delete an item of a conversation",
        scope=Scope.INFERENCE,
        answer=StoredConversation,
    )
    def delete(self, request: Request, conversation_id: str, item_id: str) -> Response:
        """Delete an item, and return the conversation."""
        conversation = self.find_conversation(conversation_id)
        store.delete_item(conversation, find_item(conversation, item_id))
        return Response(present_conversation(conversation))


def find_item(conversation: Conversation, written: str) -> ConversationItem:
    """Return an item of a conversation. Raises NoSuchItem."""
    is_storable = "\0" not in written
    found = conversation.items.filter(public_id=written).first() if is_storable else None
    if found is None:
        raise NoSuchItem(id=written[:100])
    return found


def is_ascending(request: Request) -> bool:
    """Return whether a client wants the oldest first. Raises BadRequest."""
    order = request.query_params.get("order", "desc")
    if order not in ("asc", "desc"):
        raise BadRequest("`order` must be asc or desc.", param="order")
    return order == "asc"


def present_conversation(conversation: Conversation) -> JsonObject:
    """Return a conversation as the API shows it."""
    return {
        "id": str(conversation),
        "object": "conversation",
        "created_at": unix_time(conversation.created_at),
        "metadata": conversation.metadata,
    }


def present_item(item: ConversationItem) -> JsonObject:
    """Return an item as the API shows it."""
    content: JsonObject = orjson.loads(item.content)
    return content


def list_items(items: list[JsonObject], *, has_more: bool) -> JsonObject:
    """Return items as a list's page."""
    ends = {"first_id": items[0]["id"] if items else None, "last_id": items[-1]["id"] if items else None}
    return {"object": "list", "data": items, "has_more": has_more, **ends}
