"""How much text a training takes, and how it is cut."""

from dataclasses import dataclass

from training.corpus.pieces import MOST_PIECE_WORDS

# What can be wrong with a corpus. Plain exceptions: this package knows neither Django nor a language.


class CorpusTooSmall(Exception):
    """Without duplicates, the documents have fewer words than a training needs."""

    def __init__(self, words: int, least: int) -> None:
        super().__init__(f"{words} usable words, at least {least} are needed")
        self.words = words
        self.least = least


class NothingHeldOut(Exception):
    """Every held-out passage was left out, so nothing could measure the training."""


@dataclass(frozen=True)
class CorpusLimits:
    """Bounds of a corpus. Tests and operators change them; the defaults are those of docs/training.md."""

    least_words: int = 3_000  # fewer are refused
    small_words: int = 10_000  # fewer are warned about
    most_bytes: int = 5_000_000  # UTF-8; of more text an even sample is taken
    sample_block_words: int = 2_000  # a sample is taken in stretches of this length

    held_out_percent: int = 10
    least_held_out_words: int = 1_500
    # Whole documents are held out only while they take no more of the text than this.
    most_held_out_percent: int = 20

    least_passage_words: int = 120
    most_passage_words: int = 350
    least_fragment_words: int = 8  # shorter remainders between dropped paragraphs teach nothing

    # Formulas like "Please find attached" are the writer's habit, not duplicates.
    least_duplicate_words: int = 12
    duplicate_percent: int = 50  # of a paragraph's or passage's 8-word shingles

    def __post_init__(self) -> None:
        # Pieces are joined until they are long enough, and a remainder joins the passage before it. The
        # result must still be short enough, or some texts couldn't be cut at all.
        if self.most_passage_words < 2 * self.least_passage_words + MOST_PIECE_WORDS:
            raise ValueError("the longest passage must hold two of the shortest and a piece")

    @property
    def passage_words(self) -> int:
        """The length that passages aim at, which is also the gap before a held-out tail."""
        return (self.least_passage_words + self.most_passage_words) // 2


STANDARD_LIMITS = CorpusLimits()
