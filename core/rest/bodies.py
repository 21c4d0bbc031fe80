"""What a request's body may hold: JSON with known fields only."""

from datetime import datetime
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

FIRST_YEAR, LAST_YEAR = 2020, 9000


class StrictParser(JSONParser):
    """Reads JSON; `NaN` and `Infinity`, which JSON does not have, are refused."""

    strict = True

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """Return what the body holds. Raises ParseError, also for one that is nested without end."""
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("The request body is nested too deeply.") from error


class StrictSerializer(serializers.Serializer[Any]):
    """A body's fields. One that is not known is refused by name, never dropped in silence."""

    example: ClassVar[dict[str, Any]] = {}  # of a body, as the document shows it

    def to_internal_value(self, data: Any) -> Any:
        """Return the checked values. Raises ValidationError, also for unknown fields."""
        if isinstance(data, dict):
            unknown = sorted(str(name) for name in data if name not in self.fields)
            if unknown:
                sentence = "Unknown field."
                raise serializers.ValidationError(
                    {name: [sentence] for name in unknown}, code="unknown_field"
                )
        return super().to_internal_value(data)


def choice_query(name: str, choices: Any) -> type[StrictSerializer]:
    """Return the query of a list that can be filtered by one field's value."""
    field = serializers.ChoiceField(choices, required=False, help_text=f"Filter by {name}.")
    return type("ChoiceQuery", (StrictSerializer,), {name: field})


class MomentField(serializers.DateTimeField):
    """A moment of this service's time: calendars' ends can't be counted on from."""

    def to_internal_value(self, value: Any) -> datetime:
        """Return the moment. Raises ValidationError."""
        moment: datetime = super().to_internal_value(value)
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            raise serializers.ValidationError(
                f"Must be a date and time between {FIRST_YEAR} and {LAST_YEAR}."
            )
        return moment


class TextField(serializers.CharField):
    """A text without NUL and without half a surrogate pair, which PostgreSQL can't store."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Return the text. Raises ValidationError."""
        if isinstance(data, str):
            try:
                data.encode()
            except UnicodeEncodeError as error:
                raise serializers.ValidationError("Contains an unpaired surrogate.") from error
        elif data is not serializers.empty and data is not None:
            raise serializers.ValidationError("Must be a string.")
        return super().run_validation(data)
