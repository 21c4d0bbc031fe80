"""The short form of `make trial NAME=requests`, beside the engine that serves everybody."""

import pytest

from trials.harness import beside_running_stack
from trials.requests import trial as requests
from trials.requests.cases import KILLERS, draw_cases

pytestmark = [pytest.mark.alone, pytest.mark.rotates]

LONGEST_S = 45  # a faster machine comes to more cases
SEED = 1


def test_no_request_kills_the_engine_or_changes_a_neighbours_answer():
    context = beside_running_stack("requests")
    verdict = requests.trial(context, cases=draw_cases(SEED), seed=SEED, longest_s=LONGEST_S)
    assert verdict.is_good, f"{verdict.line()}: see {context.notes}/verdict.json"
    assert verdict.cases >= len(KILLERS)
