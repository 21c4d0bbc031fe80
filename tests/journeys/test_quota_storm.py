"""The short form of `make trial NAME=quota-storm`, beside the stack that already runs."""

import pytest

from trials.harness import beside_running_stack
from trials.storm import trial as storm

pytestmark = [pytest.mark.alone, pytest.mark.rotates]


def test_a_cap_holds_to_the_token_and_refuses_nobody_in_vain():
    verdict = storm.trial(beside_running_stack("storm"), requests=200)
    assert verdict.admitted + verdict.refused == 200
    assert verdict.is_good, (verdict.line(), verdict.wanting)
