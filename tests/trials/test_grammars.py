"""What `make trial NAME=fuzz-grammars` sends, and when it is content."""

import json

import pytest

from trials.grammars.case import random_case
from trials.grammars.trial import GrammarsVerdict, chosen_cases, hand_made


def test_fifty_are_made_by_hand_and_all_kinds_are_there():
    cases = hand_made()
    assert len({case.name for case in cases}) == len(cases) == 50
    assert {case.kind for case in cases} == {"regex", "json", "grammar", "choice", "tools"}
    assert any(case.bias for case in cases)


def test_a_seed_makes_always_the_same_cases_that_json_can_write():
    bodies = [random_case(1, number).body("base", tokens=3) for number in range(300)]
    assert bodies == [random_case(1, number).body("base", tokens=3) for number in range(300)]
    assert bodies != [random_case(2, number).body("base", tokens=3) for number in range(300)]
    assert all(len(json.dumps(body)) < 2**20 for body in bodies)
    assert len(chosen_cases(7, 1)) == 57


@pytest.mark.parametrize(
    ("beside_s", "faults", "is_good"),
    [
        ([1.0, 1.2, 1.4], [], True),
        ([1.0, 1.6, 1.7], [], False),
        ([1.0, 1.0, 3.2], [], False),
        ([1.0, 1.0, 1.0], [{"case": "doubling", "what": "500"}], False),
    ],
)
def test_a_neighbour_who_feels_them_or_a_fault_is_no_success(beside_s, faults, is_good):
    verdict = GrammarsVerdict(1, cases=3, faults=faults, alone_s=[0.9], beside_plain_s=[1.0, 1.0, 1.0])
    verdict.beside_grammars_s = beside_s
    assert verdict.is_good is is_good
    assert json.loads(json.dumps(verdict.published()))["figures"]["worst_beside_grammars_s"] == beside_s[-1]
