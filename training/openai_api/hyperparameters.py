"""How a job learns: what it is asked for, and shown with."""

from typing import Any

from drf_spectacular.drainage import set_override
from rest_framework import serializers

from core.rest.bodies import StrictSerializer

AUTO = "auto"
SUPERVISED = "supervised"


class AutoField(serializers.Field[Any, Any, Any, Any]):
    """A number within bounds, or `auto`."""

    def __init__(self, *, kind: type[int] | type[float], least: float, most: float) -> None:
        super().__init__(required=False, allow_null=True)
        number = {"type": "integer" if kind is int else "number", "minimum": least, "maximum": most}
        set_override(self, "field", {"oneOf": [{"type": "string", "enum": [AUTO]}, number]})
        self._kind = kind
        self._least = least
        self._most = most

    def to_internal_value(self, data: Any) -> int | float | str:
        """Return the number, or `auto`. Raises ValidationError."""
        if data == AUTO:
            return AUTO
        is_number = isinstance(data, int | self._kind) and not isinstance(data, bool)
        if not is_number or not self._least <= data <= self._most:
            raise serializers.ValidationError(f"Must be `auto`, or between {self._least} and {self._most}.")
        return self._kind(data)

    def to_representation(self, value: Any) -> Any:
        """Return the value as it is."""
        return value


class HyperparametersBody(StrictSerializer):
    """How a job learns."""

    n_epochs = AutoField(kind=int, least=1, most=50)
    batch_size = AutoField(kind=int, least=1, most=256)
    learning_rate_multiplier = AutoField(kind=float, least=0.01, most=10)


class SupervisedBody(StrictSerializer):
    """The settings of the only method that there is."""

    hyperparameters = HyperparametersBody(required=False, allow_null=True)


class MethodBody(StrictSerializer):
    """How a job learns."""

    type = serializers.ChoiceField([SUPERVISED])
    supervised = SupervisedBody(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> Any:
        """Return the checked values. Raises ValidationError, for another method before its own fields."""
        if isinstance(data, dict) and data.get("type", SUPERVISED) != SUPERVISED:
            raise serializers.ValidationError(
                {"type": [f"Only `{SUPERVISED}` is available here: send pairs of prompts and answers."]}
            )
        return super().to_internal_value(data)
