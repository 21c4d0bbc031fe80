"""Coverage of the apps by lines and branches, compared with bench/results/tests.json. Neither may fall."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from stack.folders import ROOT

# Each app is a folder at the top, and `platform` has several.
APPS = (*sorted(path.parent.name for path in ROOT.glob("*/__init__.py")), "platform")
MEASURED = ROOT / "var" / "coverage.json"
RECORDED = ROOT / "dev" / "bench" / "results" / "tests.json"
MAY_FALL = 0.5  # percentage points: what a run differs from another by chance
# Processes that tests start are not measured, nor are the journeys.
OPTIONS = [*(f"--cov={app}" for app in APPS), "--cov-branch", f"--cov-report=json:{MEASURED}"]


def percent_of_apps(report: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return for each app what percentage of its lines and branches ran, from coverage's JSON report."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for name, file in report["files"].items():
        for key in ("covered_lines", "num_statements", "covered_branches", "num_branches"):
            counts[Path(name).parts[0]][key] += file["summary"][key]
    return {
        app: {
            "lines": round(100 * count["covered_lines"] / max(1, count["num_statements"]), 1),
            "branches": round(100 * count["covered_branches"] / max(1, count["num_branches"]), 1),
        }
        for app, count in sorted(counts.items())
    }


def fallen() -> list[str]:
    """Return a sentence for each app that a whole run covers less of than was recorded."""
    found = percent_of_apps(json.loads(MEASURED.read_text()))
    recorded = json.loads(RECORDED.read_text())["coverage_percent"]
    return [
        f"{app}: {found[app][kind]} % of {kind} are covered, {before} % were"
        for app, shares in recorded.items()
        for kind, before in shares.items()
        if found[app][kind] < before - MAY_FALL
    ]
