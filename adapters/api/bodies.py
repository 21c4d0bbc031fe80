"""Bodies that several views of styles read, and that of a new version."""

from typing import Any

from rest_framework import serializers

from adapters.api.upload_object import METHODS
from adapters.catalog.terms import MAX_PERCENT, MAX_PRICE_NANOUSD
from adapters.uploads.upload_request import QUANTISATIONS
from core.rest.bodies import StrictSerializer, TextField

MAX_FILES = 10  # more than are ever taken, so that each that is not is named
MAX_FILE_BYTES = 2**62  # beyond every limit, and still a number that a sentence can give in MiB


class AtOnceBody(StrictSerializer):
    """Whether others lose the style at once."""

    at_once = serializers.BooleanField(
        default=False, help_text="True: workspaces that have the style lose it. Without it, that is refused."
    )


class FileBody(StrictSerializer):
    """A file that will be sent."""

    name = TextField(
        max_length=255, help_text="adapter_config.json, adapter_model.safetensors, or an archive."
    )
    size_bytes = serializers.IntegerField(min_value=0, max_value=MAX_FILE_BYTES)


class NewVersionBody(StrictSerializer):
    """A new version of a style."""

    files = serializers.ListSerializer[Any](child=FileBody(), max_length=MAX_FILES)
    method = serializers.ChoiceField(
        METHODS,
        default="post",
        help_text="`multipart` for large files: in parts, several at once, resumable.",
    )
    auto_promote = serializers.BooleanField(
        default=True, help_text="It answers as soon as it serves; else it waits to be promoted."
    )
    stated_quantisation = serializers.ChoiceField(
        QUANTISATIONS, default="", help_text="State of the base it was trained on; empty: not said."
    )

    def validate_files(self, files: list[dict[str, Any]]) -> dict[str, int]:
        """Return file name → size in bytes. Refuse two of one name."""
        sizes = {file["name"]: file["size_bytes"] for file in files}
        if len(sizes) < len(files):
            raise serializers.ValidationError("Name each file once.")
        return sizes


class AskedPricesBody(StrictSerializer):
    """Prices of a style's own, in 10⁻⁹ dollars a token."""

    input_nanousd = serializers.IntegerField(min_value=0, max_value=MAX_PRICE_NANOUSD)
    cached_input_nanousd = serializers.IntegerField(min_value=0, max_value=MAX_PRICE_NANOUSD)
    output_nanousd = serializers.IntegerField(min_value=0, max_value=MAX_PRICE_NANOUSD)


class PriceChangeBody(StrictSerializer):
    """What an owner asks for of a style that is public, and from when."""

    prices = AskedPricesBody(
        allow_null=True, help_text="Each at least that of every style. Null: the prices of every style."
    )
    author_percent = serializers.IntegerField(
        min_value=0, max_value=MAX_PERCENT, help_text="Of what others' usage costs, as credits."
    )
    first_day = serializers.DateField(help_text="In UTC, eight days ahead or more.")


class OfferBody(StrictSerializer):
    """What an owner asks for with an offer. What is not named stays as it was asked before."""

    prices = AskedPricesBody(
        required=False,
        allow_null=True,
        help_text="Each at least that of every style. Null: the prices of every style.",
    )
    author_percent = serializers.IntegerField(
        min_value=0,
        max_value=MAX_PERCENT,
        required=False,
        help_text="Of what others' usage costs, as credits.",
    )
