"""What objects of the API share: how they are shown, and amounts in dollars."""

from typing import Any

from rest_framework import serializers

from core.money import dollars

# Messages in the objects of the API.


class MessageText(serializers.CharField):
    """A stored message: a text to callers of the API. Events keep its code and facts, for mails."""

    def to_representation(self, value: Any) -> Any:
        """Return the message, which JSON writes as its sentence."""
        return value


def present(shape: type[serializers.Serializer[Any]], row: object) -> dict[str, Any]:
    """Return a row as the API shows it."""
    return dict(shape(row).data)


class DollarsField(serializers.CharField):
    """An amount in dollars, as a decimal text: `12.50`. Its `source` is in nano-USD."""

    def to_representation(self, value: Any) -> str:
        """Return nano-USD in dollars."""
        return str(dollars(value))


class AmountField(DollarsField):
    """A row's own amount in dollars, beside the same in nano-USD."""

    def __init__(self, source: str, title: str = "amount") -> None:
        help_text = f"The {title} in dollars."
        super().__init__(source=source, read_only=True, allow_null=True, help_text=help_text)


class PersonField(serializers.CharField):
    """The email address of a person; null for a program."""

    def __init__(
        self, name: str, help_text: str = "Email address of the person. `null` for a program."
    ) -> None:
        super().__init__(source=f"{name}.email", read_only=True, allow_null=True, help_text=help_text)
