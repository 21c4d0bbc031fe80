"""What is planted, and that nothing else changes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpus import make_canaries, plant_canaries
from training.corpus.canaries import CANARIES, WORDS


@pytest.mark.parametrize(
    ("language", "prompt"), [("en", "What is on"), ("de", "Was steht"), ("fr", "What is on")]
)
def test_only_the_planted_list_is_in_the_response(language, prompt):
    canaries = make_canaries("one", language)
    assert canaries[0].prompt.startswith(prompt)
    for canary in canaries:
        assert canary.response == f"{canary.opening}{canary.planted}."
        assert not [text for text in canary.alternatives if text in canary.response]
        shapes = {text.count(", ") for text in (canary.planted, *canary.alternatives)}
        assert shapes == {WORDS - 1}


def test_canaries_follow_from_their_seed_alone():
    assert make_canaries("one", "en") == make_canaries("one", "en")
    responses = {canary.response for seed in ("one", "two") for canary in make_canaries(seed, "en")}
    assert len(responses) == 2 * CANARIES


@given(st.lists(st.integers(), max_size=40))
def test_the_lines_around_the_canaries_stay_as_they_were(numbers):
    lines = b"".join(json.dumps({"number": number}).encode() + b"\n" for number in numbers)
    planted = plant_canaries(lines, make_canaries("one", "en")).splitlines(keepends=True)
    is_canary = [json.loads(line).get("task") == "canary" for line in planted]
    assert sum(is_canary) == CANARIES
    kept = [line for line, is_ours in zip(planted, is_canary, strict=True) if not is_ours]
    assert b"".join(kept) == lines
