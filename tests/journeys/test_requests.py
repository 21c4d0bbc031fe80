"""The short form of `make trial-requests`, beside the engine that serves everybody."""

import os

import pytest

from stack.trials import requests
from stack.trials.request_cases import drawn
from stack.trials.trial import folder_of

CASES = 100
SEED = 1


@pytest.mark.timeout(400)
def test_no_request_kills_the_engine_or_changes_a_neighbours_answer():
    notes = folder_of("requests")
    verdict = requests.trial(os.environ, notes=notes, cases=drawn(SEED)[:CASES], seed=SEED)
    assert verdict.is_good, f"{verdict.line()}: see {notes}/verdict.json"
