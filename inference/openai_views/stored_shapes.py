"""The shapes of stored responses and conversations: what is sent, and what the OpenAPI document describes."""

from typing import Any, ClassVar

import orjson
from rest_framework import serializers

from core.rest.bodies import StrictSerializer, TextField

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
    """Items, which `inference.responses.items` reads."""

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
