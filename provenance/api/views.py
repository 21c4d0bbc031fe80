"""`GET /v1/receipts/{request id}` and `POST /v1/content_provenance_checks`.

The latter has the form of https://developers.openai.com/api/docs/guides/content-provenance, and takes texts.
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from core.rest.bodies import StrictParser, StrictSerializer
from inference.openai_views.base import FirstRenderer, OpenAiView
from inference.openai_views.schema import operation
from inference.public import BadRequest
from provenance.checks import MAX_CHARACTERS, ReceiptCheck, WatermarkCheck, check_provenance
from provenance.receipts import MAX_CHARACTERS as MAX_RECEIPT_CHARACTERS
from provenance.receipts import issue_receipt
from provenance.watermark import Verdict
from tenants.models import Scope

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


MULTIPART = "multipart/form-data"
OUTCOME_IF_FOUND = {True: "detected", False: "not_detected"}


class JsonOrForm(FirstRenderer):
    """Reads a form as a form, and all else as JSON."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """Return what reads the body."""
        json_parser, form_parser = parsers
        return form_parser if is_form(request) else json_parser


class ReceiptView(OpenAiView):
    """The receipt of one of the workspace's answers."""

    @operation("provenance.receipt", "Get a receipt", scope=Scope.INFERENCE, answer=SignedReceipt)
    def get(self, request: Request, request_id: str) -> Response:
        """Return the receipt of an answer by its `x-request-id`: a signed statement of which style wrote the
        text and when. It names the text by its SHA-256, without containing it, and is the same each time."""
        receipt = issue_receipt(self.access.tenant, request_id)
        return Response({"object": "receipt", "request_id": request_id, "receipt": receipt})


class ChecksView(OpenAiView):
    """A check of where a text came from."""

    parser_classes = [StrictParser, MultiPartParser]
    content_negotiation_class = JsonOrForm

    @operation(
        "provenance.check",
        "Check where a text came from",
        scope=Scope.INFERENCE,
        answer=ProvenanceCheck,
        body={"application/json": CheckBody, MULTIPART: CHECKED_FILE},
        body_example={"text": "The gentleman had fallen asleep at the head of the train …"},
    )
    def post(self, request: Request) -> Response:
        """Look for this service's watermark in a text, and verify a receipt. Neither is stored, and a check
        costs nothing. `not_detected` doesn't mean that a person wrote the text: the watermark may have been
        edited out, and other services have others."""
        text, receipt = self._read_sent(request)
        check = check_provenance(text, receipt)
        results = []
        if check.watermark:
            results.append(present_watermark(check.watermark))
        if check.receipt:
            results.append(present_receipt(check.receipt))
        created_at = int(timezone.now().timestamp())
        return Response({"object": "content_provenance_check", "created_at": created_at, "results": results})

    def _read_sent(self, request: Request) -> tuple[str, str]:
        """Return the text and the receipt that a client sent. Raises BadRequest."""
        if not is_form(request):
            body = self.read_body(CheckBody)
            return body["text"], body["receipt"]
        file = request.FILES.get("file")
        if file is None:
            raise BadRequest("Send the text as a file in the field `file`.", param="file")
        try:
            return file.read().decode(), request.POST.get("receipt", "")
        except UnicodeDecodeError:
            raise BadRequest("The file is not a text in UTF-8.", param="file") from None


def is_form(request: Request) -> bool:
    """Return whether a body is a form with a file."""
    return (request.content_type or "").startswith(MULTIPART)


def present_watermark(check: WatermarkCheck) -> dict[str, object]:
    """Return what a watermark says, as the API shows it."""
    passages = []
    for one in check.passages:
        passages.append({"start": one.start, "end": one.end, "outcome": OUTCOME_IF_FOUND[one.is_found]})
    return {
        "type": "text_watermark",
        "outcome": OUTCOME_IF_FOUND[check.verdict == Verdict.FOUND],
        "verdict": check.verdict.value,
        "p_value": check.p_value,
        "scored_tokens": check.scored_tokens,
        "epoch": check.epoch,
        "passages": passages,
    }


def present_receipt(check: ReceiptCheck) -> dict[str, object]:
    """Return what a receipt says, as the API shows it."""
    is_valid = check.receipt is not None
    return {
        "type": "receipt",
        "outcome": OUTCOME_IF_FOUND[check.is_proof],
        "validation_state": "valid" if is_valid else "invalid",
        "matches_text": check.matches,
        "claims": asdict(check.receipt) if check.receipt else None,
    }
