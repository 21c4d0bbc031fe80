"""Check where a text came from: by its watermark, by a receipt, or by both. Nothing is stored."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter

from django.conf import settings

from inference.public import encode_text
from provenance.errors import BadReceipt, NoDetector, NothingToCheck, TextTooLong
from provenance.receipts import Receipt, verify_receipt
from provenance.watermark import Verdict, examine
from provenance.watermark.detector import ENOUGH_TOKENS, MOST_P_VALUE, USUALLY_FOUND_TOKENS

MAX_CHARACTERS = 50_000
# In words, as people count: English has about three for four tokens.
ENOUGH_WORDS = ENOUGH_TOKENS * 3 // 4
USUALLY_FOUND_WORDS = USUALLY_FOUND_TOKENS * 3 // 4
MAX_PASSAGES = 100  # of a text, from its beginning, whose evidence is shown
# Finer steps would help nobody but those who search for a text that just passes.
LEAST_P_VALUE = 1e-12


@dataclass(frozen=True)
class Passage:
    """A paragraph of a text, by the places of its characters, and whether it alone carries the watermark."""

    start: int
    end: int
    text: str
    is_found: bool


@dataclass(frozen=True)
class WatermarkCheck:
    """What the watermark says of a text. `p_value` is a power of ten; `epoch` is that of a found key."""

    verdict: Verdict
    p_value: float
    scored_tokens: int
    epoch: int | None
    passages: tuple[Passage, ...]

    @property
    def one_in(self) -> int:
        """Of how many texts without the watermark one has so much evidence at most; 1: of fewer than ten."""
        return round(1 / self.p_value)


@dataclass(frozen=True)
class ReceiptCheck:
    """What a receipt says, None if it is not ours; `matches`: whether it is the text's, None without one."""

    receipt: Receipt | None
    matches: bool | None

    @property
    def is_proof(self) -> bool:
        """Whether it shows that a style wrote the text. One whose request prescribed the words doesn't."""
        return self.receipt is not None and self.matches is not False and not self.receipt.constrained


@dataclass(frozen=True)
class Check:
    """What is known of where a text came from."""

    watermark: WatermarkCheck | None
    receipt: ReceiptCheck | None


def check_provenance(text: str, receipt: str) -> Check:
    """Return what a text's watermark says, and its receipt; "" for what there isn't.

    Raises NothingToCheck, TextTooLong or NoDetector.
    """
    if not text.strip() and not receipt.strip():
        raise NothingToCheck
    has_text = bool(text.strip())
    return Check(
        watermark=check_watermark(text) if has_text else None,
        receipt=check_receipt(receipt, text if has_text else None) if receipt.strip() else None,
    )


def check_watermark(text: str) -> WatermarkCheck:
    """Return what the watermark says of a text. Raises TextTooLong or NoDetector."""
    if len(text) > MAX_CHARACTERS:
        raise TextTooLong(limit=f"{MAX_CHARACTERS:,}")
    encoded = encode_text(text)
    if encoded is None:
        raise NoDetector
    token_ids, offsets = encoded
    if not settings.WATERMARK_KEYS or not token_ids:
        return WatermarkCheck(Verdict.TOO_SHORT, 1.0, 0, None, ())
    paragraphs = list(islice(find_paragraphs(text), MAX_PASSAGES))
    spans = [_token_span(offsets, start, end) for start, end in paragraphs]
    found = examine(token_ids, settings.WATERMARK_KEYS, spans=spans)
    passages = []
    for (start, end), evidence in zip(paragraphs, found.spans, strict=True):
        is_found = evidence.p_value <= MOST_P_VALUE
        passages.append(Passage(start, end, text[start:end], is_found))
    return WatermarkCheck(
        verdict=found.verdict,
        p_value=round_up(found.p_value),
        scored_tokens=found.scored_tokens,
        epoch=found.epoch if found.verdict == Verdict.FOUND else None,
        passages=tuple(passages),
    )


def find_paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each paragraph begins and ends: blank lines divide them."""
    at = 0
    start: int | None = None
    for line in text.splitlines(keepends=True):
        if line.strip() and start is None:
            start = at
        elif not line.strip() and start is not None:
            yield start, start + len(text[start:at].rstrip())
            start = None
        at += len(line)
    if start is not None:
        yield start, start + len(text[start:].rstrip())


def check_receipt(written: str, text: str | None) -> ReceiptCheck:
    """Return what a receipt says, and whether it is that of the text."""
    try:
        receipt = verify_receipt(written)
    except BadReceipt:
        return ReceiptCheck(None, None)
    return ReceiptCheck(receipt, None if text is None else receipt.matches(text))


def round_up(p_value: float) -> float:
    """Return the power of ten at or above a p-value."""
    if p_value <= LEAST_P_VALUE:
        return LEAST_P_VALUE
    return float(10.0 ** math.ceil(round(math.log10(p_value), 9)))


def _token_span(offsets: list[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    """Return the places of the first token of some characters and of the one after their last."""
    first = bisect_right(offsets, start, key=itemgetter(1))
    last = bisect_left(offsets, end, key=itemgetter(0))
    return first, max(first, last)
