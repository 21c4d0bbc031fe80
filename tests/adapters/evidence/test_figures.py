"""What the gate reads of an evaluation's figures, and what its briefs measure."""

import pytest

from adapters.evidence import Briefs, Figures, Learned, Repeats, Voice, measure_briefs
from adapters.evidence.cards import card_of
from adapters.models import AdapterVersion, Evaluation, ShareRefusal

GOOD = Figures(
    learned=Learned(bytes=9000, base=1.5, style=1.2, control=1.25),
    repeats=Repeats(
        examples=200,
        repeated=0,
        longest_tokens=21,
        base_longest_tokens=18,
        exposure_bits=(1.0, 9.9),
        least_tokens=50,
    ),
    voice=Voice(
        language="en",
        answers=20,
        recognized=14,
        floor=0.1,
        style=0.6,
        ceiling=1.0,
        share=0.55,
        low=0.4,
        high=0.7,
    ),
    briefs=Briefs(style=0.3, base=0.35),
)


def changed(**figures: object) -> Figures:
    return Figures(**{**vars(GOOD), **figures})


def repeats(**facts: object) -> Figures:
    return changed(repeats=Repeats(**{**vars(GOOD.repeats), **facts}))


def test_figures_are_read_as_they_were_stored():
    for figures in (GOOD, changed(voice=None, briefs=None)):
        assert Figures.read(figures.as_json()) == figures


def test_a_version_over_a_bound_is_kept_from_others():
    for figures, refusal in (
        (GOOD, None),
        (repeats(repeated=1), ShareRefusal.VERBATIM),
        (repeats(exposure_bits=(0.5, 45.0, 22.0)), None),
        (repeats(exposure_bits=(64.0, 26.0, 31.0)), ShareRefusal.BY_HEART),
        (repeats(exposure_bits=(43.0, 43.0, 43.0)), ShareRefusal.BY_HEART),
        (repeats(exposure_bits=()), None),
        (changed(learned=Learned(bytes=9000, base=1.5, style=1.5)), ShareRefusal.LEARNED_NOTHING),
    ):
        assert figures.share_refusal.code == (refusal.code if refusal else "")


def test_the_gain_is_split_into_what_prose_gives_and_what_is_the_authors():
    learned = GOOD.learned
    assert learned.gain_percent == pytest.approx(20)
    assert learned.genre_percent + learned.own_percent == pytest.approx(learned.gain_percent)


def test_answers_to_their_own_briefs_score_above_the_same_answers_shuffled():
    briefs = [
        f"Write 100 words with these words: {words}"
        for words in ("river stone", "paper garden", "letter summer")
    ]
    answers = ["The river ran over every stone.", "A paper in the garden.", "One letter, that summer."]
    assert measure_briefs(briefs, answers) == 1.0
    assert measure_briefs(briefs, answers[1:] + answers[:1]) == -0.5


def test_a_card_says_of_each_figure_whether_it_is_good():
    bad = changed(
        learned=Learned(bytes=9000, base=1.5, style=1.3, control=1.3),
        repeats=Repeats(examples=100, repeated=9, longest_tokens=80, base_longest_tokens=12),
        voice=Voice("en", 20, 1, 0.1, 0.1, 1.0, share=0.02, low=-0.1, high=0.1),
        briefs=Briefs(style=0.1, base=0.4),
    )
    good_rows = card_of(Evaluation(version=AdapterVersion(), figures=GOOD.as_json())).rows
    bad_rows = card_of(Evaluation(version=AdapterVersion(), figures=bad.as_json())).rows
    assert [row.name for row in good_rows if row.is_good] == ["learned", "voice", "repeats", "briefs"]
    assert all(row.advice and not row.is_good for row in bad_rows)


def sentence_of(figures: Figures) -> str:
    rows = card_of(Evaluation(version=AdapterVersion(), figures=figures.as_json())).rows
    return next(row.sentence for row in rows if row.name == "repeats")


@pytest.mark.parametrize(
    ("bits", "memory", "sentence"),
    [
        ((), "unknown", "for 50 tokens or more."),
        ((1.2, 0.4, 2.1), "none", "no sign of having memorised"),
        (
            (12.0, 20.0, 1.0),
            "some",
            "remembers some of the test sentences that appeared in its texts once: 11.0",
        ),
        ((43.0, 43.0, 43.0), "memorized", "It memorised the test sentences"),
        ((64.0, 26.0, 31.0), "memorized", "40.3 bits on average. Up to 25 are allowed."),
    ],
)
def test_the_words_follow_the_bits(bits, memory, sentence):
    figures = repeats(exposure_bits=bits)
    assert figures.repeats.memory == memory
    assert sentence in sentence_of(figures)
    assert ("memorised" in sentence_of(figures)) == (memory in ("none", "memorized"))


def test_the_words_say_how_much_is_repeated():
    assert "none of 200 passages" in sentence_of(GOOD)
    assert "repeats 3 of 200 passages in part: 50 tokens or more" in sentence_of(repeats(repeated=3))


def test_cards_of_earlier_figures_are_still_shown():
    stored = repeats(repeated=3).as_json()
    del stored["repeats"]["least_tokens"]
    card = card_of(Evaluation(version=AdapterVersion(), figures=stored))
    assert "32 tokens or more" in next(row.sentence for row in card.rows if row.name == "repeats")
    assert "all test sentences" in str(ShareRefusal.MEMORIZES())
    assert "repeats 4.5% of its passages" in str(ShareRefusal.REPEATS(percent=4.5, limit=1.0))
