"""What each tier of `make test` leaves out, and what is recorded."""

import json
from types import SimpleNamespace

import pytest

from tests import tiers

SHORT, SLOW, JOURNEY = (
    "tests/billing/test_plans.py::test_a",
    "tests/adapters/uploads/test_parts.py::test_b",
    "tests/journeys/test_cli.py::test_c",
)
TRIALS = [f"tests/journeys/test_fuzz.py::test_{number}" for number in range(6)]


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Some recorded durations, and a work tree without changes."""
    file = tmp_path / "durations.json"
    file.write_text(json.dumps({SHORT: 0.6, SLOW: 5, JOURNEY: 10}))
    monkeypatch.setattr(tiers, "DURATIONS", file)
    monkeypatch.setattr(tiers, "_touched_folders", set)
    monkeypatch.setattr(tiers, "_commit", lambda: "4")
    return file


def run_by(tier: str) -> list[str]:
    items = [Item(name) for name in (SHORT, SLOW, JOURNEY)] + [Item(name, "rotates") for name in TRIALS]
    hook = SimpleNamespace(pytest_deselected=lambda items: None)
    config = SimpleNamespace(getoption=lambda name: tier, hook=hook)
    tiers.pytest_collection_modifyitems(config, items)
    return [item.nodeid for item in items]


class Item:
    """A collected test."""

    def __init__(self, nodeid: str, *marks: str) -> None:
        self.nodeid = nodeid
        self._marks = marks

    def get_closest_marker(self, name: str) -> bool:
        return name in self._marks


@pytest.mark.usefixtures("recorded")
def test_all_leaves_nothing_out():
    assert run_by("all") == [SHORT, SLOW, JOURNEY, *TRIALS]


@pytest.mark.usefixtures("recorded")
def test_quick_leaves_out_what_is_slow_for_its_kind_and_what_rotates():
    assert run_by("quick") == [SHORT, JOURNEY]


@pytest.mark.usefixtures("recorded")
def test_quick_runs_the_slow_tests_of_folders_that_somebody_works_on(monkeypatch):
    monkeypatch.setattr(tiers, "_touched_folders", lambda: {"tests/adapters/uploads"})
    assert run_by("quick") == [SHORT, SLOW, JOURNEY]


@pytest.mark.usefixtures("recorded")
def test_three_commits_in_a_row_run_each_rotating_test_once(monkeypatch):
    ran = []
    for commit in ("4", "5", "6"):
        monkeypatch.setattr(tiers, "_commit", lambda commit=commit: commit)
        ran += run_by("ci")[3:]
    assert sorted(ran) == TRIALS


def test_each_product_file_is_mirrored_by_a_folder_of_tests(monkeypatch):
    changed = [
        " M adapters/uploads/parts.py",
        "?? tests/cli/test_new.py",
        " M cli/src/polyscribe/push.py",
        " M platform/config/urls.py",
        " M README.md",
    ]
    said = SimpleNamespace(stdout="\n".join(changed))
    monkeypatch.setattr(tiers.subprocess, "run", lambda *_args, **_: said)
    assert tiers._touched_folders() == {"tests/adapters/uploads", "tests/cli", "tests/config"}


def test_durations_are_merged_and_short_ones_dropped(recorded):
    durations = tiers.Durations(recorded)
    for name, seconds in ((SHORT, 0.1), (SHORT, 0.1), (SLOW, 2), (SLOW, 0.34), (TRIALS[0], 9)):
        durations.pytest_runtest_logreport(SimpleNamespace(nodeid=name, duration=seconds))
    durations.pytest_sessionfinish()
    assert json.loads(recorded.read_text()) == {SLOW: 2.3, JOURNEY: 10, TRIALS[0]: 9}


@pytest.mark.parametrize(
    ("variables", "reason", "outcome"),
    [
        ({"CI": "true"}, "nginx is not installed", "failed"),
        ({"CI": "true"}, "for a Ray cluster: make test-ray", "skipped"),
        ({}, "nginx is not installed", "skipped"),
    ],
)
def test_a_skipped_test_fails_in_ci_unless_its_reason_is_accepted(monkeypatch, variables, reason, outcome):
    monkeypatch.delenv("CI", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    report = SimpleNamespace(skipped=True, outcome="skipped", longrepr=("file", 1, f"Skipped: {reason}"))
    hook = tiers.pytest_runtest_makereport(Item(SHORT))
    next(hook)
    with pytest.raises(StopIteration):
        hook.send(report)
    assert report.outcome == outcome


def test_make_test_runs_the_first_program_of_the_guides():
    """If it takes longer than a quick journey may by now: raise the limit, or make it quicker."""
    programs = "tests/journeys/test_documents.py::test_a_program_of_the_documents_runs_as_pasted"
    assert tiers._slow({f"{programs}[docs/getting-started.md-1]"}) == set()
