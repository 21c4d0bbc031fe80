"""Evidence: whether a text sounds like a writer, and how far a style has come. See docs/evidence.md.

Pure functions of texts and numbers: no database, no storage, no network, no clock.
"""

from adapters.verifier.calibration import CALIBRATED_LANGUAGES
from adapters.verifier.impostors import (
    SUPPORTED_LANGUAGES,
    BadVerifier,
    CeilingTooLow,
    StyleNotDistinct,
    TooFewTexts,
    UnsupportedLanguage,
)
from adapters.verifier.verifier import Place, SentenceScore, Verifier, place_between, train_verifier
