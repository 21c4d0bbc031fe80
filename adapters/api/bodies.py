"""Bodies that several views of styles read."""

from rest_framework import serializers

from foundation.rest.bodies import StrictSerializer


class AtOnceBody(StrictSerializer):
    """Whether others lose the style at once."""

    at_once = serializers.BooleanField(
        default=False, help_text="True: workspaces that have the style lose it. Without it, that is refused."
    )
