"""A text, its receipt, and answers in the ledger."""

from datetime import UTC, datetime

from inference.public import digest_text
from metering.ledger import record_events
from provenance.receipts import Receipt
from tests.tenants.builders import make_event

TEXT = "The gentleman had fallen asleep\nat the head of the train."
RECEIPT = Receipt(
    request_id="req_4f0c",
    at=datetime(2026, 11, 30, 12, tzinfo=UTC),
    text_sha256=digest_text(TEXT),
    style="poetry",
    version=3,
    adapter_sha256="ab" * 32,
    base_model="SmolLM2-135M-Instruct",
    watermark="gumbel; epoch=3",
)


def record_answer(tenant, request_id, *, text=TEXT, **facts):
    usual = {"watermark": "gumbel; epoch=3", "text_sha256": digest_text(text)}
    record_events([make_event(tenant, request_id=request_id, **usual | facts)])
