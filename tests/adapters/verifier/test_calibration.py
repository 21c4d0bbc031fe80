"""Percentages mean what they say, documents are left out whole, and old verifiers have none."""

from dataclasses import replace

import numpy as np
import pytest

from adapters.verifier import Verifier, train_verifier
from adapters.verifier.calibration import Basis, load_calibration, read_calibration
from adapters.verifier.features import measure_passages
from adapters.verifier.impostors import join_authors, measure_author
from adapters.verifier.verifier import halve_documents
from labs.calibration import (
    LEARNED_WORDS,
    LENGTHS_WORDS,
    MOST_OF_ONE_BOOK,
    Trial,
    describe_calibration,
    list_probabilities,
)
from tests.adapters.verifier.writers import write_passages


def make_trials(names: range, *, seed: int) -> list[Trial]:
    """Return trials of made-up authors whose texts score higher the more distinct they are, and steadier the
    longer."""
    generator = np.random.default_rng(seed)
    trials = []
    for name in names:
        for words in LEARNED_WORDS:
            for documents in (2, 1) if words <= MOST_OF_ONE_BOOK else (2,):
                distance = generator.uniform(0.4, 1.0)
                own = {n: generator.normal(distance, 3 / n**0.5, 200) for n in LENGTHS_WORDS}
                others = {n: generator.normal(0, 3 / n**0.5, 200) for n in LENGTHS_WORDS}
                basis = Basis(words, documents, spread=0.1, distance=distance)
                trials.append(Trial(str(name), words, basis, own, {"other": others}))
    return trials


@pytest.mark.parametrize("length", LENGTHS_WORDS)
def test_of_what_says_fifty_percent_half_is_the_authors(length):
    """Judged on authors whom the curve was not fitted on."""
    fitted = read_calibration(describe_calibration(make_trials(range(12), seed=1)))
    own, others = list_probabilities(fitted, make_trials(range(12, 36), seed=2), length)
    for low in (0.1, 0.3, 0.5, 0.7):
        high = low + 0.2
        own_share = np.mean((own >= low) & (own < high))
        others_share = np.mean((others >= low) & (others < high))
        if own_share + others_share > 0.05:
            assert own_share / (own_share + others_share) == pytest.approx((low + high) / 2, abs=0.12)


@pytest.mark.parametrize("documents", [1, 2])
@pytest.mark.parametrize("learned", [3_000, 15_000, 300_000])
def test_a_higher_score_never_means_a_lower_percentage_and_a_longer_text_says_more(documents, learned):
    shipped = load_calibration()
    basis = Basis(learned, documents, spread=0.08, distance=0.5)
    scores = np.linspace(-2, 3, 50)
    for words in (10, 60, 300, 5_000):
        assert (np.diff(shipped.probabilities(scores, words, basis)) >= 0).all()
    short, long = (
        shipped.probabilities(np.array([2.0]), 50, basis),
        shipped.probabilities(np.array([2.0]), 1_000, basis),
    )
    assert long > short
    typical = shipped.typical_of(300, basis)
    assert typical.others[1] < 0.5 < typical.own[1]
    assert 0 < shipped.new_text_of(basis) < 1


def test_documents_are_left_out_whole_and_one_is_cut_in_the_middle():
    assert halve_documents(np.array([0] * 6 + [1] * 3 + [2] * 2 + [3])).tolist() == [0] * 6 + [1] * 6
    assert halve_documents(np.array([7, 7, 7, 7, 7])).tolist() == [0, 0, 0, 1, 1]
    assert set(halve_documents(np.array([0] * 50 + [1]))) == {0, 1}


@pytest.fixture(scope="module")
def impostors():
    authors = [measure_passages(write_passages(seed, count=40), "en") for seed in range(10, 18)]
    return join_authors([measure_author(passages) for passages in authors])


def test_what_one_document_says_of_another_is_measured_without_it(impostors):
    """Two unlike documents: either alone is a poor guide to the other, and passages of both a good one."""
    texts = write_passages(1, count=15) + write_passages(2, count=15)
    apart = train_verifier(texts, "en", impostors=impostors, documents=[0] * 15 + [1] * 15).basis
    mixed = train_verifier(texts, "en", impostors=impostors, documents=[0, 1] * 15).basis
    assert (apart.documents, apart.words) == (2, sum(len(text.split()) for text in texts))
    assert apart.distance < mixed.distance / 2


def test_a_verifier_from_before_percentages_still_scores(impostors):
    verifier = train_verifier(write_passages(1, count=20), "en", impostors=impostors)
    [text] = write_passages(1, count=1, words=400)
    old = replace(verifier, basis=None).to_bytes()
    assert old.startswith(b"PSVERIF1")
    assert len(old) == 65_558
    restored = Verifier.from_bytes(old)
    assert restored.score(text) == verifier.score(text)
    assert (restored.probability(text), restored.typical_of(400), restored.new_text_score) == (
        None,
        None,
        None,
    )
    assert restored.score_sentences(text)[0].probability is None
    again = Verifier.from_bytes(verifier.to_bytes())
    assert again.probability(text) == verifier.probability(text) > 0.5
    german = replace(verifier, language="de")
    assert german.probability(text) is None
