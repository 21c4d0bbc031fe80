from itertools import product

import pytest

from inference.fields import FORMS, Field
from stack.trials.request_cases import CHAT, TEXT, drawn, without_values


def test_every_field_of_the_contract_has_values():
    assert not without_values()


def test_a_new_field_without_values_is_named(monkeypatch):
    monkeypatch.setitem(FORMS["/v1/completions"], "new_field", Field("served", "new"))

    assert without_values() == {"new_field of /v1/completions"}


@pytest.mark.parametrize(("path", "values"), [("/v1/chat/completions", CHAT), ("/v1/completions", TEXT)])
def test_every_pair_of_ends_meets_in_a_request(path, values):
    bodies = [case.body for case in drawn(1) if case.path == path]

    for first, second in [("seed", "n"), ("stop", "response_format"), ("max_tokens", "logit_bias")]:
        for one, other in product(values[first].ends, values[second].ends):
            assert any(body.get(first) == one and body.get(second) == other for body in bodies)


def test_a_seed_gives_the_same_cases_in_the_same_order():
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert sorted(case.described() for case in drawn(1)) == sorted(case.described() for case in drawn(2))
