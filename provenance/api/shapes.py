"""What the API answers and reads, as its document shows it."""

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers

from core.rest.bodies import StrictSerializer
from provenance.checks import MAX_CHARACTERS
from provenance.receipts import MAX_CHARACTERS as MAX_RECEIPT_CHARACTERS

OUTCOMES = ["detected", "not_detected"]


@extend_schema_field(OpenApiTypes.BINARY)
class TextFileField(serializers.FileField):
    """A text in UTF-8."""


CHECKED_FILE = inline_serializer(
    "CheckedFile",
    {
        "file": TextFileField(help_text="The text, in UTF-8."),
        "receipt": serializers.CharField(required=False, help_text="The receipt to verify."),
    },
)


class CheckBody(StrictSerializer):
    """What is checked: a text, a receipt, or a text with its receipt."""

    text = serializers.CharField(
        max_length=MAX_CHARACTERS, required=False, trim_whitespace=False, allow_blank=True, default=""
    )
    receipt = serializers.CharField(
        max_length=MAX_RECEIPT_CHARACTERS,
        required=False,
        allow_blank=True,
        default="",
        help_text="The receipt to verify, with the text or without.",
    )


class SignedReceipt(serializers.Serializer[Any]):
    """A receipt."""

    example: ClassVar = {
        "object": "receipt",
        "request_id": "req_4f0c",
        "receipt": "eyJhbGciOiJFZERTQSIsImtpZCI6IjEiLCJ0eXAiOiJwb2x5c2NyaWJlLXJlY2VpcHQrandzIn0.eyJ….c2ln…",
    }

    object = serializers.CharField(help_text="Always `receipt`.")
    request_id = serializers.CharField()
    receipt = serializers.CharField(help_text="A JWS in compact form. Give it away with the text.")


class CheckedPassage(serializers.Serializer[Any]):
    """A paragraph of the text."""

    start = serializers.IntegerField(help_text="Place of its first character.")
    end = serializers.IntegerField(help_text="Place after its last character.")
    outcome = serializers.ChoiceField(OUTCOMES, help_text="Whether it carries the watermark by itself.")


class CheckResult(serializers.Serializer[Any]):
    """What one signal says."""

    type = serializers.ChoiceField(["text_watermark", "receipt"])
    outcome = serializers.ChoiceField(
        OUTCOMES, help_text="Whether this says that the service wrote the text."
    )
    verdict = serializers.ChoiceField(
        ["found", "not_found", "too_short"], required=False, help_text="Of a watermark."
    )
    p_value = serializers.FloatField(
        required=False,
        help_text="How probable so much evidence is in a text without the watermark, rounded up to a power "
        "of ten.",
    )
    scored_tokens = serializers.IntegerField(required=False, help_text="Tokens that carry evidence.")
    epoch = serializers.IntegerField(required=False, allow_null=True)
    passages = CheckedPassage(many=True, required=False, help_text="The first 100 paragraphs.")
    validation_state = serializers.ChoiceField(
        ["valid", "invalid"],
        required=False,
        help_text="Of a receipt: whether this service signed exactly it.",
    )
    matches_text = serializers.BooleanField(
        required=False,
        allow_null=True,
        help_text="Whether the receipt is that of `text`. `null` without a text.",
    )
    claims = serializers.DictField(
        required=False,
        allow_null=True,
        help_text="What a valid receipt says. `constrained` lists the fields of the request that prescribed "
        "the text: with any, the receipt alone is `not_detected`.",
    )


class ProvenanceCheck(serializers.Serializer[Any]):
    """The result of a check."""

    example: ClassVar = {
        "object": "content_provenance_check",
        "created_at": 1764495000,
        "results": [
            {
                "type": "text_watermark",
                "outcome": "detected",
                "verdict": "found",
                "p_value": 1e-9,
                "scored_tokens": 121,
                "epoch": 1,
                "passages": [{"start": 0, "end": 540, "outcome": "detected"}],
            }
        ],
    }

    object = serializers.CharField(help_text="Always `content_provenance_check`.")
    created_at = serializers.IntegerField(help_text="Unix time in seconds.")
    results = CheckResult(many=True, help_text="One for each signal that could be checked.")
