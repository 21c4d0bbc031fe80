"""Bodies that several views of styles read, and that of a new version."""

from typing import Any

from rest_framework import serializers

from adapters.api.upload_object import METHODS
from adapters.catalog.terms import AMOUNTS, MAX_PERCENT, MAX_PRICE_NANOUSD
from adapters.uploads.upload_request import QUANTISATIONS
from core.rest.bodies import StrictSerializer, TextField

MAX_FILES = 10  # more than are ever taken, so that each that is not is named
MAX_FILE_BYTES = 2**62  # beyond every limit, and still a number that a sentence can give in MiB


class AtOnceBody(StrictSerializer):
    """Whether other workspaces lose the style immediately."""

    at_once = serializers.BooleanField(
        default=False,
        help_text="If true, other workspaces lose access to the style immediately. Otherwise the request is "
        "refused while others use it.",
    )


class FileBody(StrictSerializer):
    """A file to upload."""

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
        help_text="Use `multipart` for large files: parallel parts, resumable.",
    )
    auto_promote = serializers.BooleanField(
        default=True,
        help_text="If true, the version goes live as soon as it is serving. Otherwise promote it yourself.",
    )
    stated_quantisation = serializers.ChoiceField(
        QUANTISATIONS,
        default="",
        help_text="Quantisation of the base model used in training. Empty if unspecified.",
    )

    def validate_files(self, files: list[dict[str, Any]]) -> dict[str, int]:
        """Return file name → size in bytes. Refuse two of one name."""
        sizes = {file["name"]: file["size_bytes"] for file in files}
        if len(sizes) < len(files):
            raise serializers.ValidationError("Each file name must be unique.")
        return sizes


class AskedPricesBody(StrictSerializer):
    """A style's own prices, in billionths of a dollar per token."""

    input_nanousd = serializers.IntegerField(min_value=0, max_value=MAX_PRICE_NANOUSD)
    cached_input_nanousd = serializers.IntegerField(min_value=0, max_value=MAX_PRICE_NANOUSD)
    output_nanousd = serializers.IntegerField(min_value=0, max_value=MAX_PRICE_NANOUSD)

    def validate(self, attrs: dict[str, int]) -> Any:
        """Return the prices as `Terms` has them."""
        return tuple(attrs[name] for name in AMOUNTS)


class PriceChangeBody(StrictSerializer):
    """A requested price change for a public style, and its start date."""

    prices = AskedPricesBody(
        allow_null=True,
        help_text="Each price must be at least the standard price. `null` for the standard prices.",
    )
    author_percent = serializers.IntegerField(
        min_value=0,
        max_value=MAX_PERCENT,
        help_text="The author's percentage of what other workspaces pay, paid in credits.",
    )
    first_day = serializers.DateField(help_text="UTC date, at least eight days from now.")


class OfferBody(StrictSerializer):
    """The price requested with an offer. Omitted fields keep their previous values."""

    prices = AskedPricesBody(
        required=False,
        allow_null=True,
        help_text="Each price must be at least the standard price. `null` for the standard prices.",
    )
    author_percent = serializers.IntegerField(
        min_value=0,
        max_value=MAX_PERCENT,
        required=False,
        help_text="The author's percentage of what other workspaces pay, paid in credits.",
    )
