"""Evidence: whether a style learned, sounds like its author, repeats its texts, and keeps to requests.

`training` runs evaluations and calls this; pages and the API show their figures.
"""

from adapters.errors import NoVerifier
from adapters.evidence.answers import Models, find_models, is_loaded
from adapters.evidence.cards import EvidenceCard, EvidenceRow, card_of, evidence_card_of, percent_text
from adapters.evidence.drafts import (
    LEAST_PARAGRAPH_WORDS,
    DraftCheck,
    GuessingRound,
    ParagraphCheck,
    check_draft,
    check_paragraphs,
    find_checkable,
    find_evaluation,
    find_guessable,
    list_rounds,
)
from adapters.evidence.figures import (
    Briefs,
    Figures,
    Interval,
    Learned,
    Nearness,
    Repeats,
    Rewrites,
    Voice,
    VoiceUnknown,
    compare_briefs,
)
from adapters.evidence.objects import EvaluationObject, present_evaluation, reads_texts
from adapters.verifier import (
    CeilingTooLow,
    StyleNotDistinct,
    TooFewTexts,
    UnsupportedLanguage,
    Verifier,
    place_between,
    train_verifier,
)
