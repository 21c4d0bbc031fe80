"""Where a text came from: its watermark, and receipts."""

from urllib.parse import quote

from polyscribe.objects import Object
from polyscribe.transport import WRITING, Transport


class Provenance:
    """Checks of texts, and the receipts of the workspace's own answers."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def check(self, text: str = "", receipt: str = "") -> Object:
        """Return what a text's watermark and a receipt say. Nothing is stored. Raises ApiError."""
        body = {"text": text, "receipt": receipt}
        return self._transport.call("POST", f"{WRITING}/content_provenance_checks", body=body)

    def receipt(self, request_id: str) -> str:
        """Return the receipt of an answer by its request id. Raises NotFound."""
        answer = self._transport.call("GET", f"{WRITING}/receipts/{quote(request_id, safe='')}")
        return str(answer["receipt"])
