"""What the gate reads of an evaluation's figures, and what its briefs measure."""

import pytest

from adapters.evidence import (
    Briefs,
    Figures,
    Interval,
    Learned,
    Nearness,
    Repeats,
    Rewrites,
    Voice,
    compare_briefs,
)
from adapters.evidence.cards import card_of
from adapters.evidence.figures import measure_briefs
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
    briefs=Briefs(
        style=0.3,
        base=0.35,
        style_interval=Interval(0.3, 0.27, 0.33),
        base_interval=Interval(0.35, 0.3, 0.4),
        margin=Interval(0.02, 0.01, 0.03),
    ),
)


def changed(**figures: object) -> Figures:
    return Figures(**{**vars(GOOD), **figures})


def repeats(**facts: object) -> Figures:
    return changed(repeats=Repeats(**{**vars(GOOD.repeats), **facts}))


def rewritten(than_base: int | None, kept: float) -> Figures:
    nearness = None if than_base is None else Nearness(than_base, 5, style=0.6, base=0.3, draft=0.4)
    return changed(rewrites=Rewrites(8, kept=kept, base_kept=0.6, nearness=nearness))


def test_figures_are_read_as_they_were_stored():
    for figures in (GOOD, changed(voice=None, briefs=None), rewritten(7, 0.5), rewritten(None, 0.5)):
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
    assert measure_briefs(briefs, answers) == [1.0] * 3
    assert measure_briefs(briefs, answers[1:] + answers[:1]) == [-0.5] * 3


def answers_with(shares: list[float]) -> tuple[list[str], list[str]]:
    """Return briefs of ten words each, and answers that have so many of them."""
    briefs, answers = [], []
    for number, share in enumerate(shares):
        words = ["".join("abcdefghij"[int(digit)] for digit in f"{number}{word}00") for word in range(10)]
        briefs.append(" ".join(words))
        answers.append(" ".join(words[: round(10 * share)]) or "nothing")
    return briefs, answers


@pytest.mark.parametrize(
    ("style", "base", "keeps"),
    [
        ([0.5, 0.4] * 10, [0.4, 0.5] * 10, True),
        ([0.1, 0.0] * 10, [0.4, 0.5] * 10, False),
        ([0.2, 0.5] * 10, [0.4, 0.5] * 10, None),
        ([0.1] + [0.0] * 19, [0.0] * 19 + [0.1], None),
        ([0.5] * 4, [0.5] * 4, None),
    ],
    ids=["as the base", "weak", "on the border", "the base is near zero", "too few"],
)
def test_requests_are_kept_or_not_or_nobody_can_tell(style, base, keeps):
    """Two near-zeros had a ratio of 18 % or of 217 %; nothing is said of those now."""
    briefs, style_answers = answers_with(style)
    _, base_answers = answers_with(base)
    compared = compare_briefs(briefs, style_answers, base_answers, seed=7)
    assert compared == compare_briefs(briefs, style_answers, base_answers, seed=7)
    assert compared.keeps is keeps
    assert (compared.percent_of_base is None) == (keeps is None)
    [*_, row] = card_of(Evaluation(version=AdapterVersion(), figures=changed(briefs=compared).as_json())).rows
    assert row.is_good is keeps
    assert (row.value == "Can't tell") == (keeps is None)


def test_a_brief_that_comes_twice_is_no_second_witness():
    briefs, answers = answers_with([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    once = compare_briefs(briefs, answers, answers, seed=7)
    thrice = compare_briefs(briefs * 3, answers * 3, answers * 3, seed=7)
    for interval, same in ((thrice.style_interval, once.style_interval), (thrice.margin, once.margin)):
        assert (interval.low, interval.high) == pytest.approx((same.low, same.high))


def test_figures_from_before_intervals_are_still_shown_without_a_judgement():
    stored = GOOD.as_json()
    stored["briefs"] = {"style": 0.18, "base": 0.02}
    del stored["voice"]["new_text"]
    card = card_of(Evaluation(version=AdapterVersion(), figures=stored))
    assert {row.name: row.is_good for row in card.rows}["briefs"] is None
    assert "Check it again" in card.rows[-1].sentence
    assert Figures.read(stored).voice.new_text_share is None


@pytest.mark.parametrize(
    ("than_base", "kept", "is_good", "value", "remedies"),
    [
        (7, 0.5, True, "7 of 8", ()),
        (4, 0.5, False, "4 of 8", ("texts",)),
        (7, 0.4, False, "7 of 8", ("passes",)),
        (None, 0.5, None, "50%", ()),
        (None, 0.4, False, "40%", ("passes",)),
    ],
    ids=["good", "not nearer", "other content", "no verifier", "other content, no verifier"],
)
def test_a_card_says_how_near_rewrites_come_and_what_they_keep(than_base, kept, is_good, value, remedies):
    figures = rewritten(than_base, kept)
    [*others, row] = card_of(Evaluation(version=AdapterVersion(), figures=figures.as_json())).rows
    assert "rewrites" not in {other.name for other in others}
    assert (row.name, row.value, row.is_good, row.remedies) == ("rewrites", value, is_good, remedies)
    assert bool(row.advice) == bool(remedies)
    assert (
        f"kept {round(100 * kept)}% of their content words and names; the base model kept 60%" in row.sentence
    )
    assert (f"base model {than_base} times, and closer than the plain version 5 times" in row.sentence) == (
        than_base is not None
    )


def test_figures_from_before_rewrites_have_no_such_row():
    stored = GOOD.as_json()
    del stored["rewrites"]
    card = card_of(Evaluation(version=AdapterVersion(), figures=stored))
    assert "rewrites" not in {row.name for row in card.rows}


def test_a_card_says_that_a_new_book_scores_lower_and_by_how_much():
    voice = Voice("en", 20, 14, 0.1, 0.6, 1.0, share=0.55, low=0.4, high=0.7, new_text=0.55)
    figures = changed(voice=voice)
    row = card_of(Evaluation(version=AdapterVersion(), figures=figures.as_json())).rows[1]
    assert "a new book by the author typically comes 50% of the way" in row.sentence
    row = card_of(Evaluation(version=AdapterVersion(), figures=GOOD.as_json())).rows[1]
    assert "new book" not in row.sentence


def test_a_card_says_of_each_figure_whether_it_is_good():
    bad = changed(
        learned=Learned(bytes=9000, base=1.5, style=1.3, control=1.3),
        repeats=Repeats(examples=100, repeated=9, longest_tokens=80, base_longest_tokens=12),
        voice=Voice("en", 20, 1, 0.1, 0.1, 1.0, share=0.02, low=-0.1, high=0.1),
        briefs=Briefs(0.1, 0.4, Interval(0.1, 0.0, 0.2), Interval(0.4, 0.3, 0.5), Interval(-0.2, -0.3, -0.1)),
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
