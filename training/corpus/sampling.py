"""What is drawn at random, and an even sample of a corpus that is too large."""

import hashlib
from collections.abc import Iterator

from training.corpus.worksheet import Run, Use, Worksheet


def draw(seed: int, name: str) -> bytes:
    """Return random bytes that depend on the seed and a name alone, not on what else there is."""
    return hashlib.sha256(f"{seed}\0{name}".encode()).digest()


def sample_evenly(sheet: Worksheet, *, most_bytes: int, block_words: int) -> bool:
    """Leave out blocks from all over the documents until at most `most_bytes` of UTF-8 are left.

    Returns whether anything had to be left out.
    """
    blocks = list(_blocks(sheet, block_words))
    sizes = [len(sheet.text_of(block).encode()) for block in blocks]
    total_bytes = sum(sizes)
    if total_bytes <= most_bytes:
        return False
    seen_bytes = 0
    kept_bytes = 0
    for block, size in zip(blocks, sizes, strict=True):
        seen_bytes += size
        # Never more than its share of what was seen so far: so the sample is even, and ends within the limit.
        if (kept_bytes + size) * total_bytes <= seen_bytes * most_bytes:
            kept_bytes += size
        else:
            sheet.assign(block, Use.UNSAMPLED)
    return True


def _blocks(sheet: Worksheet, block_words: int) -> Iterator[Run]:
    """Yield runs of at least `block_words` words, or the remainder of a document."""
    for document in sheet.stretches(Use.LEARNED):
        first = document.first
        for number in range(document.first, document.end):
            block = Run(first, number + 1)
            if sheet.words_of(block) >= block_words or block.end == document.end:
                yield block
                first = block.end
