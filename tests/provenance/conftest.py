import pytest

from provenance import checks
from tests.provenance.marked import KEY, encode


@pytest.fixture(autouse=True)
def known(settings, monkeypatch) -> None:
    """Keys of watermarks and receipts, and the tokens of the texts that tests write."""
    settings.WATERMARK_KEYS = {1: 0xFEDC, 3: KEY}
    settings.RECEIPT_KEYS = {1: bytes(32)}
    monkeypatch.setattr(checks, "encode_text", encode)
