"""What the trial counts as a training that ended differently, or was charged wrongly."""

import pytest

from trials.training_kills import find_differences, find_wrong_charges

UNDISTURBED = {
    "id": "a",
    "status": "succeeded",
    "failure": "",
    "losses": [[0, "validation", 4.0], [1, "training", 3.5], [2, "training", 3.25]],
    "adapter": "abc",
    "trained_tokens": 200,
    "charges": [[200, 600]],
    "most_nanousd": 900,
    "is_held": False,
}


@pytest.mark.parametrize(
    ("change", "is_found"),
    [
        ({}, False),
        ({"status": "failed"}, True),
        ({"adapter": "abd"}, True),
        ({"trained_tokens": 300}, True),
        ({"losses": UNDISTURBED["losses"][:2]}, True),
        ({"losses": [*UNDISTURBED["losses"], [2, "training", 3.25]]}, True),
        ({"losses": [*UNDISTURBED["losses"][:2], [2, "training", 3.24]]}, True),
    ],
)
def test_a_training_that_ends_differently_is_found(change, is_found):
    assert bool(find_differences([UNDISTURBED, UNDISTURBED | change])) == is_found


@pytest.mark.parametrize(
    ("change", "is_found"),
    [
        ({}, False),
        ({"charges": []}, True),
        ({"charges": [[200, 600], [200, 600]]}, True),
        ({"charges": [[100, 300]]}, True),
        ({"most_nanousd": 599}, True),
        ({"is_held": True}, True),
    ],
)
def test_a_wrong_charge_is_found(change, is_found):
    assert bool(find_wrong_charges([UNDISTURBED | change])) == is_found
