"""The verifier tells made-up writers apart, keeps its scores in bytes, and refuses what it can't read."""

import os
import re

import numpy as np
import pytest

from adapters.verifier import (
    BadVerifier,
    StyleNotDistinct,
    TooFewTexts,
    UnsupportedLanguage,
    Verifier,
    train_verifier,
)
from adapters.verifier.features import BUCKETS, find_grams, measure_features, measure_passages
from adapters.verifier.impostors import (
    SUPPORTED_LANGUAGES,
    join_authors,
    load_impostors,
    measure_author,
    read_impostors,
    save_impostors,
)
from tests.adapters.verifier.writers import write_passages

ALICE, BOB = 1, 2


@pytest.fixture(scope="module")
def impostors():
    authors = [measure_passages(write_passages(seed, count=40), "en") for seed in range(10, 18)]
    return join_authors([measure_author(passages) for passages in authors])


@pytest.fixture(scope="module")
def verifier(impostors) -> Verifier:
    return train_verifier(write_passages(ALICE, count=40)[:30], "en", impostors=impostors)


def test_a_writers_new_texts_score_one_and_a_strangers_zero(verifier):
    own = [verifier.score(text) for text in write_passages(ALICE, count=40)[30:]]
    strangers = [verifier.score(text) for seed in range(20, 30) for text in write_passages(seed, count=2)]
    assert np.mean(own) == pytest.approx(1, abs=0.15)
    assert np.mean(strangers) == pytest.approx(0, abs=0.25)
    assert min(own) > max(strangers)


def test_a_score_does_not_depend_on_the_length_of_a_text(verifier):
    passages = write_passages(ALICE, count=40)[30:]
    assert verifier.score(" ".join(passages)) == pytest.approx(
        np.mean([verifier.score(text) for text in passages]), abs=0.1
    )


def test_a_verifier_of_bytes_gives_the_same_scores(verifier):
    stored = verifier.to_bytes()
    restored = Verifier.from_bytes(stored)
    [text] = write_passages(BOB, count=1)
    assert len(stored) <= 100_000
    assert restored.score(text) == verifier.score(text)
    assert restored.score_sentences(text) == verifier.score_sentences(text)
    assert restored.to_bytes() == stored


def test_garbage_is_refused(verifier):
    stored = verifier.to_bytes()
    changed = stored[:5_000] + bytes([stored[5_000] ^ 1]) + stored[5_001:]
    for garbage in (b"", stored[:-1], b"{" + stored[1:], changed, os.urandom(len(stored))):
        with pytest.raises(BadVerifier):
            Verifier.from_bytes(garbage)


def test_the_sentences_cover_a_text_and_a_strangers_one_is_farthest(verifier):
    own = write_passages(ALICE, count=31)[30]
    [foreign] = write_passages(BOB, count=1, words=60)
    text = f"Chapter 2\n\n{own}\n\n{foreign}\n\n{own}"
    scores = verifier.score_sentences(text)
    covered = "".join(text[sentence.start : sentence.end] for sentence in scores)
    assert re.sub(r"\s", "", covered) == re.sub(r"\s", "", text)
    farthest = min(scores, key=lambda sentence: sentence.score)
    assert text[farthest.start : farthest.end] in foreign


def test_a_short_sentence_is_drawn_to_the_score_of_its_text(verifier):
    text = " ".join(write_passages(ALICE, count=31)[30:]) + " No."
    *_, short = verifier.score_sentences(text)
    assert text[short.start : short.end] == "No."
    assert short.score == pytest.approx(verifier.score(text), abs=0.05)


def test_odd_texts_have_finite_scores(verifier):
    for text in ("", "a", "ab", "?!", "\n\n", "日本語", "\ud800", "\U0001f600 and"):
        assert np.isfinite(verifier.score(text))
        assert all(np.isfinite(sentence.score) for sentence in verifier.score_sentences(text))


def test_what_an_edition_decides_changes_no_feature():
    ours = "\u201cIt\u2019s late,\u201d said Anna \u2014 \u2018quite\u2019 late\u2026  In 1893!"
    theirs = "'It's late,' said Boris -- \"quite\" late.\nIn 2024!"
    assert np.array_equal(measure_features(ours, "en"), measure_features(theirs, "en"))


def test_grams_lie_within_the_text_and_share_it():
    text = "  The ferry — “at last” — came.\n\n\nNobody spoke. " * 80
    grams = find_grams(text, "en")
    assert grams.shares.sum() == pytest.approx(1)
    assert grams.starts.min() >= 0
    assert grams.starts.max() < len(text)
    assert grams.buckets.max() < BUCKETS


def test_what_cannot_be_learned_is_refused(impostors):
    passages = write_passages(ALICE, count=30)
    with pytest.raises(UnsupportedLanguage):
        train_verifier(passages, "fr")
    with pytest.raises(TooFewTexts):
        train_verifier(passages[:5], "en", impostors=impostors)
    everybody = [text for seed in range(10, 18) for text in write_passages(seed, count=5)]
    with pytest.raises(StyleNotDistinct):
        train_verifier(everybody, "en", impostors=impostors)


@pytest.mark.parametrize("language", SUPPORTED_LANGUAGES)
def test_the_impostors_that_ship_can_be_learned_against(language):
    impostors = load_impostors(language)
    assert impostors.blocks.shape[1] == len(impostors.deviations) == BUCKETS
    assert impostors.blocks.sum(axis=1) == pytest.approx(1, abs=0.02)
    passages = write_passages(ALICE, count=12)
    assert train_verifier(passages, language).score(passages[0]) > 0.5


def test_a_file_of_impostors_has_the_same_bytes_each_time_and_gives_the_same_scores(
    impostors, verifier, tmp_path
):
    save_impostors(impostors, tmp_path / "one.npz")
    save_impostors(impostors, tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    restored = read_impostors(tmp_path / "one.npz")
    again = train_verifier(write_passages(ALICE, count=40)[:30], "en", impostors=restored)
    for text in [*write_passages(ALICE, count=2), *write_passages(BOB, count=2)]:
        assert again.score(text) == pytest.approx(verifier.score(text), abs=0.1)
