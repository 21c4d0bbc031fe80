"""What the soak counts as an error that the guide does not tell of."""

import pytest

from labs.chat_client import Outcome
from trials.chaos.load import Seen
from trials.soak import find_undocumented


@pytest.mark.parametrize(
    ("outcome", "code", "is_documented"),
    [
        (Outcome.COMPLETE, "", True),
        (Outcome.HUNG_UP, "", True),
        (Outcome.REFUSED, "server_is_overloaded", True),
        (Outcome.CUT_SHORT, "server_is_overloaded", True),
        (Outcome.CUT_SHORT, "nobody_told_of_this", False),
        (Outcome.REFUSED, "nobody_told_of_this", False),
        (Outcome.BROKEN, "", False),
    ],
)
def test_what_clients_met_is_documented_or_found(outcome, code, is_documented):
    request = Seen("writer", "poetry", stream=False, outcome=outcome, code=code)
    assert (find_undocumented([request]) == []) == is_documented
