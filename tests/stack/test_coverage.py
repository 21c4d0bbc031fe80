"""Coverage by app, and what must not fall."""

import json

from stack import coverage


def summary(covered_lines, lines, covered_branches, branches):
    return {
        "summary": {
            "covered_lines": covered_lines,
            "num_statements": lines,
            "covered_branches": covered_branches,
            "num_branches": branches,
        }
    }


REPORT = {
    "files": {
        "billing/a.py": summary(8, 10, 1, 2),
        "billing/b/c.py": summary(10, 10, 2, 2),
        "core/d.py": summary(1, 4, 0, 0),
    }
}


def test_files_are_summed_by_app():
    assert coverage.percent_of_apps(REPORT) == {
        "billing": {"lines": 90.0, "branches": 75.0},
        "core": {"lines": 25.0, "branches": 0.0},
    }


def test_an_app_that_is_covered_less_by_more_than_chance_is_named(tmp_path, monkeypatch):
    measured, recorded = tmp_path / "coverage.json", tmp_path / "tests.json"
    monkeypatch.setattr(coverage, "MEASURED", measured)
    monkeypatch.setattr(coverage, "RECORDED", recorded)
    measured.write_text(json.dumps(REPORT))
    before = {"billing": {"lines": 90.4, "branches": 76.0}, "core": {"lines": 24.0}}
    recorded.write_text(json.dumps({"coverage_percent": before}))
    assert coverage.fallen() == ["billing: 75.0 % of branches are covered, 76.0 % were"]
