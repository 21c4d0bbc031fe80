"""docs/architecture.md names folders, layers, modules and files: all are there, and none is missing.

So do the lists of apps that other programs read.
"""

import re
import subprocess
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from django.conf import settings

from stack.folders import ROOT
from website import catalogs

PAGE = (ROOT / "docs/architecture.md").read_text()
FLOORS = tuple(root for root in catalogs.ROOTS if root != "platform")
FACES = [floor for floor in FLOORS if (ROOT / floor / "public.py").is_file()]
BLOCKS = re.findall(r"^```\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
ROOTS = (ROOT, *(ROOT / floor for floor in FLOORS), ROOT / "inference/quota")


def is_module(name: str) -> bool:
    path = name.replace(".", "/")
    places = (ROOT, *(ROOT / floor for floor in FLOORS))
    return any((place / f"{path}.py").is_file() or (place / path).is_dir() for place in places)


def test_the_tree_names_every_folder():
    [tree] = [block for block in BLOCKS if block.startswith("manage.py")]
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {path.split("/")[0] for path in listed.splitlines() if "/" in path} - {".ci", "platform"}
    assert {folder for folder in folders if f"{folder}/" not in tree} == set()
    named = set(re.findall(r"(?:^|  | )(\w+(?:/\w+)?)/", tree, re.MULTILINE))
    assert {folder for folder in named if not (ROOT / folder).is_dir()} == set()


def test_each_box_of_a_diagram_is_a_module():
    boxes = set()
    for block in BLOCKS:
        boxes |= set(re.findall(r"\b[a-z_]+\.[a-z_]+\b(?=\s*(?:─|\(rows\)|$))", block, re.MULTILINE))
    assert len(boxes) > 15
    assert {box for box in boxes if not is_module(box)} == set()


def test_each_file_that_is_named_exists():
    named = {Path(name) for name in re.findall(r"`([\w./]+\.(?:py|lua))`", PAGE)}
    missing = {str(name) for name in named if not any((root / name).is_file() for root in ROOTS)}
    assert missing == set()


def test_no_test_module_imports_another_one():
    """What several share is in a `conftest.py`, a `builders.py` or a module named for what it builds."""
    sharing = subprocess.run(
        ["git", "grep", "-nE", r"(from|import) tests\.([a-z_]+\.)*test_", "--", "tests"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert sharing.stdout == ""


@pytest.mark.parametrize("app", FACES)
def test_a_face_is_small(app):
    """One that grows beyond 55 names shows that the two apps are cut at the wrong place."""
    names = [name for name in vars(import_module(f"{app}.public")) if not name.startswith("__")]
    assert len(names) <= 55


def lists_of_apps() -> dict[str, set[str]]:
    """Return each list that names all apps, by who reads it. Images are compared in tests/stack."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    targets = tool["hatch"]["build"]["targets"]
    linter = tool["importlinter"]
    gitlab = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())
    [changes] = [rule["changes"] for rule in gitlab[".programs"]["rules"] if "changes" in rule]
    whole = [one for one in linter["contracts"] if one["type"] == "layers" and "containers" not in one]
    return {
        "settings": {app.partition(".")[0] for app in settings.INSTALLED_APPS} | {"core"},  # it has no models
        "wheel": set(targets["wheel"]["packages"]),
        "sdist": set(targets["sdist"]["only-include"]),
        "mypy": set(tool["mypy"]["packages"]),
        "import-linter": set(linter["root_packages"]),
        "GitLab": set(re.findall(r"\w+", " ".join(changes))),
        **{one["name"]: set(one["layers"]) for one in whole},
    }


@pytest.mark.parametrize("reader", lists_of_apps())
def test_a_list_of_apps_has_each_one(reader):
    assert set(FLOORS) - lists_of_apps()[reader] == set()
