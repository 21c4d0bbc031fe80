"""The field of a model that keeps a message: JSON in the database, a lazy text in Python."""

import json
from typing import TYPE_CHECKING, Any

from django.db import models

from core.messages import NO_MESSAGE, Message, MessageDecoder, MessageEncoder

if TYPE_CHECKING:
    Base = models.Field["str | Message", Message]
else:
    Base = models.Field


class MessageField(Base):
    """A message, or nothing. It takes texts too: a person's own words are a message in every language.

    No JSONField, for the console shows those as JSON.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"default": Message, "blank": True, **options})

    def deconstruct(self) -> Any:
        """Return how migrations make it again."""
        name, path, args, options = super().deconstruct()
        return name, path, args, {key: options[key] for key in options if key not in ("default", "blank")}

    def get_internal_type(self) -> str:
        """Return the kind of its column: jsonb."""
        return "JSONField"

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Message:
        """Return the stored message."""
        if not value or value == "{}":
            return NO_MESSAGE
        message: Message = json.loads(value, cls=MessageDecoder)
        return message

    def get_prep_value(self, value: Any) -> dict[str, object]:
        """Return what is stored of a message, or of a text."""
        return value if isinstance(value, dict) else Message.of(value or "").as_json()

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """Return the same for the database."""
        return connection.ops.adapt_json_value(self.get_prep_value(value), MessageEncoder)
