"""The short form of `make trial-requests`, beside the engine that serves everybody."""

import os

import pytest

from trials.harness import make_notes_folder
from trials.requests import trial as requests
from trials.requests.cases import KILLERS, draw_cases

SECONDS = 45  # a faster machine comes to more cases
SEED = 1


@pytest.mark.timeout(400)
def test_no_request_kills_the_engine_or_changes_a_neighbours_answer():
    notes = make_notes_folder("requests")
    verdict = requests.trial(os.environ, notes=notes, cases=draw_cases(SEED), seed=SEED, seconds=SECONDS)
    assert verdict.is_good, f"{verdict.line()}: see {notes}/verdict.json"
    assert verdict.cases >= len(KILLERS)
