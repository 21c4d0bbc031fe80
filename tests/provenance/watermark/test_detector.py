"""The detector against vLLM's own: its numbers below were printed by vLLM 0.32."""

import math
import time
from itertools import pairwise

import numpy as np
import pytest

from provenance.watermark import Verdict, detect, examine
from provenance.watermark.detector import CONTEXT_TOKENS, ENOUGH_TOKENS, draw_uniform, gamma_survival

KEY = 0xFEDCBA9876543210
OTHER_KEY = 0x0123456789ABCDEF
CANDIDATES = 16  # equally probable: 2.8 nats, as at a temperature of 1


def write_marked(count: int, key: int, *, seed: int) -> list[int]:
    """Return tokens that were drawn with the mark, the first four without it."""
    random = np.random.default_rng(seed)
    written = random.integers(0, 49_152, CONTEXT_TOKENS).tolist()
    while len(written) < count:
        candidates = random.integers(0, 49_152, CANDIDATES)
        contexts = np.tile(np.array(written[-CONTEXT_TOKENS:]), (CANDIDATES, 1))
        noise = draw_uniform(key, contexts, candidates)
        written.append(int(candidates[noise.argmax()]))
    return written


def write_unmarked(count: int, *, seed: int) -> list[int]:
    return np.random.default_rng(seed).integers(0, 49_152, count).tolist()


def test_the_noise_is_vllms_to_the_last_bit():
    contexts = [[-1, -1, -1, -1], [-1, -1, -1, 7], [1, 2, 3, 4], [49_151, 0, 17, 2], [100, 100, 100, 100]]
    tokens = [0, 49_151, 2, 3, 151_935]
    assert draw_uniform(KEY, np.array(contexts), np.array(tokens)).tolist() == [
        0.04844158515334129,
        0.04621511325240135,
        0.13474009931087494,
        0.39978328347206116,
        0.44210585951805115,
    ]


@pytest.mark.parametrize(
    ("count", "key", "score", "p_value", "scored_tokens"),
    [
        (1, 1, 0.49504031399783777, 0.6095463335514069, 1),
        (40, KEY, 39.147279423021835, 0.5330611793798047, 40),
        (500, KEY, 211.86162058532767, 0.5762552585810667, 215),  # the other contexts are repeated ones
    ],
)
def test_the_evidence_is_vllms(count, key, score, p_value, scored_tokens):
    found = detect([(number * number * 31 + 7 * number) % 211 for number in range(count)], key)

    assert found.scored_tokens == scored_tokens
    assert math.isclose(found.score, score, rel_tol=1e-12)
    assert math.isclose(found.p_value, p_value, rel_tol=1e-9)


def test_the_tail_of_the_gamma_distribution_at_its_ends():
    assert gamma_survival(0.0, 5) == gamma_survival(3.0, 0) == 1.0
    assert math.isclose(gamma_survival(20.0, 1), math.exp(-20), rel_tol=1e-12)
    assert gamma_survival(5000.0, 100) == 0.0
    tails = [gamma_survival(score, 2000) for score in range(1750, 2600, 50)]
    assert all(later < earlier for earlier, later in pairwise(tails))


def test_without_the_mark_p_values_are_as_rare_as_they_say():
    p_values = [detect(write_unmarked(60, seed=seed), KEY).p_value for seed in range(2000)]
    for level in (0.5, 0.1, 0.01):
        assert abs(np.mean(np.array(p_values) <= level) - level) < 4 * math.sqrt(level / 2000)


def test_a_marked_text_is_found_by_its_key_and_by_no_other():
    marked = write_marked(60, KEY, seed=1)
    found = examine(marked, {1: OTHER_KEY, 2: KEY})

    assert (found.verdict, found.epoch, found.scored_tokens) == (Verdict.FOUND, 2, 60)
    assert found.p_value == 2 * detect(marked, KEY).p_value < 1e-9
    assert examine(marked, {1: OTHER_KEY}).verdict == Verdict.TOO_SHORT


def test_a_part_of_an_answer_in_somebodys_own_words_is_found_where_it_is():
    marked = write_marked(120, KEY, seed=2)[20:]
    tokens = [*write_unmarked(150, seed=3), *marked, *write_unmarked(150, seed=4)]
    found = examine(tokens, {1: KEY}, spans=[(0, 150), (150, 250), (250, 400), (400, 400)])

    assert found.verdict == Verdict.FOUND
    assert [part.p_value < 1e-4 for part in found.spans] == [False, True, False, False]
    assert found.spans[3].scored_tokens == 0
    assert sum(part.scored_tokens for part in found.spans) == found.scored_tokens


@pytest.mark.parametrize("count", [0, 1, 4, ENOUGH_TOKENS - 1])
def test_a_short_text_without_the_mark_says_nothing(count):
    assert examine(write_unmarked(count, seed=5), {1: KEY}).verdict == Verdict.TOO_SHORT


def test_a_long_text_without_the_mark_is_not_found():
    assert examine(write_unmarked(ENOUGH_TOKENS, seed=5), {1: KEY}).verdict == Verdict.NOT_FOUND


def test_repeated_words_are_no_further_evidence():
    marked = write_marked(60, KEY, seed=6)
    once, thrice = detect(marked, KEY), detect(marked * 3, KEY)
    assert thrice.scored_tokens <= once.scored_tokens + 2 * CONTEXT_TOKENS


def test_two_thousand_tokens_take_no_longer_than_50_ms():
    tokens, keys = write_unmarked(2000, seed=7), {1: KEY, 2: OTHER_KEY}
    started_s = time.thread_time()
    examine(tokens, keys, spans=[(start, start + 100) for start in range(0, 2000, 100)])
    assert time.thread_time() - started_s < 0.05
