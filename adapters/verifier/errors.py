"""What can be wrong with a verifier. Plain exceptions: this package knows neither Django nor a language."""


class UnsupportedLanguage(ValueError):
    """No impostors ship for this language, so nothing could be compared with a writer."""

    def __init__(self, language: str) -> None:
        super().__init__(f"no impostors for the language {language!r}")
        self.language = language


class TooFewTexts(ValueError):
    """Cross-validation needs more passages than these."""

    def __init__(self, passages: int, least: int) -> None:
        super().__init__(f"{passages} passages, at least {least} are needed")
        self.passages = passages
        self.least = least


class StyleNotDistinct(ValueError):
    """The writer's own passages score no higher than those of the impostors."""


class BadVerifier(ValueError):
    """These bytes hold no verifier of this format."""


class CeilingTooLow(ValueError):
    """The writer's own texts do not clearly score above the floor, so nothing has a place between them."""
