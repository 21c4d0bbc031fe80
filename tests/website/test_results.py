"""Figures that docs/performance.md begins with are those of the last measurement; the README is short and
leads to files that are there; the index of decisions is whole."""

import json
import re
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from stack.folders import ROOT

README = (ROOT / "README.md").read_text()
PERFORMANCE = re.sub(r"\s+", " ", (ROOT / "docs" / "performance.md").read_text())
RESULTS = ROOT / "dev" / "bench" / "results"
DECISIONS = ROOT / "docs" / "decisions"
ROW = re.compile(r"^\| (\d+) \| \[(.+)\]\((\S+)\) \| (.+) \|$", re.MULTILINE)
# Files of ours as decisions name them, whole or by the end of their path; vLLM's own are its release's.
OWN_FILE = re.compile(r"`((?!vllm/)[\w-]+(?:/[\w.-]+)+\.(?:py|lua|js|sh|yml|html))`")


def read(name: str) -> Mapping[str, Any]:
    return json.loads((RESULTS / name).read_text())


def kills_of_chaos() -> int:
    by_hand = re.search(r"^  kills +(.+)$", (RESULTS / "trials.md").read_text(), re.MULTILINE)
    return sum(map(int, re.findall(r"\d+", by_hand[1])))


@pytest.mark.parametrize(
    ("sentence", "measured", "within"),
    [
        (r"One core answers ([\d,]+) requests/s", lambda: read("gateway.json")["polyscribe_rps_c32"], 0.05),
        (r"requests/s, (\d+) times as many", lambda: read("gateway.json")["polyscribe_times_litellm"], 0.05),
        (r"Killed (\d+) times under load", kills_of_chaos, 0),
        (r"After a restart with (\d+) styles", lambda: read("restart.json")["styles"], 0),
        (r"serves all of them again (\d+) s after", lambda: read("restart.json")["all_serving_s"], 0.05),
    ],
)
def test_a_figure_of_the_docs_is_that_of_its_result(sentence, measured, within):
    [said] = re.findall(sentence, PERFORMANCE)
    assert int(said.replace(",", "")) == pytest.approx(measured(), rel=within)


def test_the_readme_is_short_and_names_each_page_once():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(README.splitlines()) <= 60
    assert len(links) == len(set(links))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_index_has_every_decision_with_its_title_and_what_replaced_it():
    indexed = {}
    for number, title, file, status in ROW.findall((DECISIONS / "README.md").read_text()):
        assert file.startswith(f"{int(number):04}-")
        indexed[file] = (f"# {number}. {title}", status)
    assert indexed.keys() == {file.name for file in DECISIONS.glob("0*.md")}
    for file, (heading, status) in indexed.items():
        first, _, text = (DECISIONS / file).read_text().partition("\n")
        assert first == heading
        was_replaced = re.match(r"\s*\**(Replaced by|Superseded in part by) ", text) is not None
        assert was_replaced == status.startswith("replaced "), file
        assert was_replaced or status == "in force", file


def test_decisions_name_files_that_are_there():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [f"/{name}" for name in listed.stdout.splitlines()]
    gone = []
    for decision in DECISIONS.glob("0*.md"):
        for name in OWN_FILE.findall(decision.read_text()):
            if not any(file.endswith(f"/{name}") for file in files):
                gone.append(f"{decision.name}: {name}")
    assert gone == []
