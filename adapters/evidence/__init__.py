"""Evidence: whether a style learned, sounds like its author, repeats its texts, and keeps to requests.

`training` runs evaluations and calls this; pages and the API show their figures.
"""

from adapters.evidence.answers import answer_prompts, is_loaded
from adapters.evidence.briefs import measure_briefs
from adapters.evidence.cards import EvidenceCard, card_of, evidence_card_of
from adapters.evidence.drafts import DraftCheck, check_draft
from adapters.evidence.figures import Briefs, Figures, Learned, Repeats, Voice
from adapters.verifier import (
    CeilingTooLow,
    StyleNotDistinct,
    TooFewTexts,
    UnsupportedLanguage,
    Verifier,
    place_between,
    train_verifier,
)

__all__ = [
    "Briefs",
    "CeilingTooLow",
    "DraftCheck",
    "EvidenceCard",
    "Figures",
    "Learned",
    "Repeats",
    "StyleNotDistinct",
    "TooFewTexts",
    "UnsupportedLanguage",
    "Verifier",
    "Voice",
    "answer_prompts",
    "card_of",
    "check_draft",
    "evidence_card_of",
    "is_loaded",
    "measure_briefs",
    "place_between",
    "train_verifier",
]
