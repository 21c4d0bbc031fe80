import json
from itertools import product

import pytest

from inference.contract.endpoints import FORMS
from inference.contract.fields import Field
from trials.requests.cases import CHAT, TEXT, draw_cases, without_values
from trials.requests.trial import RequestsVerdict


def test_every_field_of_the_contract_has_values():
    assert not without_values()


def test_a_new_field_without_values_is_named(monkeypatch):
    monkeypatch.setitem(FORMS["/v1/completions"], "new_field", Field("served", "new"))

    assert without_values() == {"new_field of /v1/completions"}


@pytest.mark.parametrize(("path", "values"), [("/v1/chat/completions", CHAT), ("/v1/completions", TEXT)])
def test_every_pair_of_ends_meets_in_a_request(path, values):
    bodies = [case.body for case in draw_cases(1) if case.path == path]

    for first, second in [("seed", "n"), ("stop", "response_format"), ("max_tokens", "logit_bias")]:
        for one, other in product(values[first].ends, values[second].ends):
            assert any(body.get(first) == one and body.get(second) == other for body in bodies)


def test_a_seed_gives_the_same_cases_in_the_same_order():
    assert draw_cases(1) == draw_cases(1)
    assert draw_cases(1) != draw_cases(2)
    assert sorted(case.described() for case in draw_cases(1)) == sorted(
        case.described() for case in draw_cases(2)
    )


def test_a_verdict_is_good_only_if_nothing_died_nobody_was_disturbed_and_requests_were_served():
    verdict = RequestsVerdict(seed=1, cases=4, witnessed=2)
    verdict.statuses.update({"200": 3, "400": 1})

    assert verdict.is_good
    assert verdict.line() == "REQUESTS OK cases=4 refused=1 deaths=0 disturbed=0"
    assert json.loads(json.dumps(verdict.details()))["statuses"] == {"200": 3, "400": 1}
    for fault in ({"deaths": 1}, {"disturbed": ["base"]}, {"witnessed": 0}, {"cases": 100}):
        assert not RequestsVerdict(**{**vars(verdict), **fault}).is_good
