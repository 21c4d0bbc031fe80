"""`GET /v1/receipts/{request id}` and `POST /v1/content_provenance_checks`.

The latter has the form of https://developers.openai.com/api/docs/guides/content-provenance, and takes texts.
"""

from collections.abc import Iterable
from dataclasses import asdict

from django.utils import timezone
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from core.rest.bodies import StrictParser
from inference.openai_views.base import FirstRenderer, OpenAiView
from inference.openai_views.schema import operation
from inference.public import BadRequest
from provenance.api.shapes import CHECKED_FILE, CheckBody, ProvenanceCheck, SignedReceipt
from provenance.checks import ReceiptCheck, WatermarkCheck, check_provenance
from provenance.receipts import issue_receipt
from provenance.watermark import Verdict
from tenants.models import Scope

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
