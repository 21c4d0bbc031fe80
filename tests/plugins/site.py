"""Fixtures of the pages, of the console and of /api/v1 that several folders of tests use."""

import pytest

from provenance import checks
from tests.provenance.marked import KEY, encode


@pytest.fixture
def provenance_keys(settings, monkeypatch) -> None:
    """The site has a key for watermarks and one for receipts."""
    settings.WATERMARK_KEYS = {3: KEY}
    settings.RECEIPT_KEYS = {1: bytes(32)}
    monkeypatch.setattr(checks, "encode_text", encode)
