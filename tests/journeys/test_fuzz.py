"""The short form of `make fuzz`, beside the engine that serves everybody."""

import os

import pytest

from trials.fuzz import trial as fuzz
from trials.harness import make_notes_folder

CASES = 200
SEED = 4


@pytest.mark.timeout(400)
def test_mutated_adapters_are_refused_or_served_and_change_nobody_elses_answers():
    notes = make_notes_folder("fuzz")
    verdict = fuzz.trial(os.environ, notes=notes, numbers=range(CASES), seed=SEED)
    assert verdict.is_good, f"{verdict.line()}: see {notes}/verdict.json"
    assert verdict.accepted > CASES / 5
