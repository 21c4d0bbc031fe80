"""What can be wrong with a corpus. Plain exceptions: this package knows neither Django nor a language."""


class CorpusTooSmall(Exception):
    """Without duplicates, the documents have fewer words than a training needs."""

    def __init__(self, words: int, least: int) -> None:
        super().__init__(f"{words} usable words, at least {least} are needed")
        self.words = words
        self.least = least


class NothingHeldOut(Exception):
    """Every held-out passage was left out, so nothing could measure the training."""
