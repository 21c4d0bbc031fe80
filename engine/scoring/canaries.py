"""How much more likely than other texts of its shape a canary is: its exposure.

Carlini et al., "The Secret Sharer" (arXiv 1802.08232, section 4.4): the share of alternatives that are more
likely, in bits, from a distribution fitted to a sample of them. So a canary that is far beyond all of the
sample has a finite number of bits, too.
"""

import math
from dataclasses import dataclass
from statistics import fmean, stdev

FAR_BELOW = -30.0  # standard deviations, where erfc would soon be 0


def exposure_bits(planted: float, alternatives: list[float]) -> float:
    """Return -log2 of the share of texts that score as low as the planted one, if scores are Gaussian.

    Scores are nats; a canary that was never learned has 1 bit on average, and n bits in one of 2^n cases.
    """
    deviation = stdev(alternatives)
    if not deviation:
        return 0.0
    distance = (planted - fmean(alternatives)) / deviation
    if distance < FAR_BELOW:  # the first term of the tail's expansion
        nats = distance * distance / 2 + math.log(-distance * math.sqrt(2 * math.pi))
        return nats / math.log(2)
    return -math.log2(math.erfc(-distance / math.sqrt(2)) / 2)


@dataclass(frozen=True)
class PlantedText:
    """The tokens that a canary and its alternatives begin with, and how each goes on: the canary first."""

    prefix: list[int]
    continuations: list[list[int]]

    @property
    def tokens(self) -> int:
        return sum(map(len, self.continuations))


def split_prefix(texts: list[list[int]]) -> PlantedText:
    """Return texts, split where the first of them differs from another one."""
    length = 0
    while all(len(text) > length + 1 and text[length] == texts[0][length] for text in texts):
        length += 1
    return PlantedText(texts[0][:length], [text[length:] for text in texts])
