"""The short form of `make trial-requests`, beside the engine that serves everybody."""

import os

import pytest

from stack.trials import requests
from stack.trials.request_cases import KILLERS, drawn
from stack.trials.trial import folder_of

SECONDS = 45  # a faster machine comes to more cases
SEED = 1


@pytest.mark.timeout(400)
def test_no_request_kills_the_engine_or_changes_a_neighbours_answer():
    notes = folder_of("requests")
    verdict = requests.trial(os.environ, notes=notes, cases=drawn(SEED), seed=SEED, seconds=SECONDS)
    assert verdict.is_good, f"{verdict.line()}: see {notes}/verdict.json"
    assert verdict.cases >= len(KILLERS)
