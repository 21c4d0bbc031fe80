"""Every test is run by `make test` or by `make test-long`, and none by both."""

import re

import pytest

from stack import testing
from stack.folders import ROOT
from tests.quick import LONG, QUICK

FILES = {
    path.name: path
    for folder in ("journeys", "pages")
    for path in (ROOT / "tests" / folder).glob("test_*.py")
}


def test_one_half_is_what_the_other_is_not(monkeypatch):
    ran = []
    monkeypatch.setattr(testing, "_run_both", lambda options, **_: ran.append(options) or 0)
    testing.test(["--", "-x"])
    testing.test_long(["--", "-x"])
    assert ran == [["-m", "not long", "-x"], ["-m", "long", "-x"]]


def test_each_file_of_journeys_and_pages_has_a_quick_one_or_is_long_as_a_whole():
    assert QUICK.keys() | LONG == FILES.keys()
    assert not QUICK.keys() & LONG


@pytest.mark.parametrize("file", QUICK)
def test_each_quick_journey_is_there(file):
    written = set(re.findall(r"^(?:async )?def (test_\w+)", FILES[file].read_text(), re.MULTILINE))
    assert {name.partition("[")[0] for name in QUICK[file]} - written == set()
