"""The short forms of `trials fuzz` and `trials fuzz-grammars`, beside the engine that serves everybody."""

import pytest

from trials.fuzz import trial as fuzz
from trials.grammars import trial as grammars
from trials.grammars.trial import chosen_cases
from trials.harness import beside_running_stack

pytestmark = [pytest.mark.alone, pytest.mark.rotates]

CASES = 200
SEED = 4


def test_mutated_adapters_are_refused_or_served_and_change_nobody_elses_answers():
    context = beside_running_stack("fuzz")
    verdict = fuzz.trial(context, numbers=range(CASES), seed=SEED)
    assert verdict.is_good, f"{verdict.line()}: see {context.notes}/verdict.json"
    assert verdict.accepted > CASES / 5


def test_expensive_grammars_are_ended_and_harm_no_neighbour():
    # How long the neighbour waits is judged by hand: beside a whole run everybody waits.
    expensive = {
        "repeated wide class",
        "doubling",
        "long texts",
        "prefix items with items",
        "tool: bounded arrays",
        "alternatives that are arrays of each other",
        "choices that begin alike",
        "left recursion",
    }
    cases = [
        case for case in chosen_cases(4, SEED) if case.name in expensive or case.name.startswith("random")
    ]
    verdict = grammars.trial(beside_running_stack("fuzz-grammars"), cases=cases, seed=SEED)
    assert (verdict.cases, verdict.faults) == (len(expensive) + 4, []), verdict.line()
    assert verdict.ends["grammar_too_expensive"] > 0
    assert max(verdict.beside_grammars_s) < 60
