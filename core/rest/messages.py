"""Messages in the objects of the API."""

from typing import Any

from rest_framework import serializers


class MessageText(serializers.CharField):
    """A stored message: a text to callers of the API. Events keep its code and facts, for mails."""

    def to_representation(self, value: Any) -> Any:
        """Return the message, which JSON writes as its sentence."""
        return value
