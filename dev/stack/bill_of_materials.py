"""`make sbom`: what an installation is made of, as CycloneDX files for scanners and a page for people.

The site's environment is made as the Dockerfile makes it, without what only development needs.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from stack.bootstrap import find_uv
from stack.errors import StackError
from stack.folders import ROOT, shown
from stack.steps import Steps

FOLDER = ROOT / "var" / "sbom"
PAGE = ROOT / "docs" / "licences.md"
ENGINE = ROOT / ".venv-engine" / "bin" / "python"
# What the Dockerfile installs: uv.lock without the groups of development.
GROUPS = ("--no-default-groups", "--group", "traces")
TABLE = re.compile(r"(?<=<!-- packages -->\n).*(?=<!-- /packages -->)", re.DOTALL)
CLASSIFIER = "License :: OSI Approved :: "
NOT_STATED = "not stated"
LONGEST = 60  # a longer "licence" is the text itself


@dataclass(frozen=True)
class Package:
    """One installed package."""

    name: str
    version: str
    licence: str


def write() -> int:
    """Write the SBOM of the site, of the engine where it is installed, and the page of licences."""
    steps = Steps()
    FOLDER.mkdir(parents=True, exist_ok=True)
    site = FOLDER / "environment"
    sync = [find_uv(), "sync", "--frozen", *GROUPS, "--no-install-project", "--quiet"]
    _run(sync, UV_PROJECT_ENVIRONMENT=str(site), VIRTUAL_ENV="")
    steps.say(f"  ✓ {shown(describe(site / 'bin' / 'python', FOLDER / 'site.cdx.json'))}")
    if ENGINE.exists():
        steps.say(f"  ✓ {shown(describe(ENGINE, FOLDER / 'engine.cdx.json'))}")
    else:
        steps.say("  - vLLM is not installed, so it has no SBOM. make test or make demo installs it")
    PAGE.write_text(fill_page(PAGE.read_text()))
    steps.say(f"  ✓ {shown(PAGE)}")
    return 0


def describe(python: Path, file: Path) -> Path:
    """Write what an interpreter's environment has as a CycloneDX file; the same twice. Raises StackError."""
    program = str(Path(sys.executable).parent / "cyclonedx-py")
    project = str(ROOT / "pyproject.toml")
    options = ["--pyproject", project, "--output-reproducible", "--output-file", str(file)]
    _run([program, "environment", *options, str(python)])
    # cyclonedx-py leaves out the licences that a package states in words of its own.
    [folder] = python.parent.parent.glob("lib/python3.*/site-packages")
    licences = {}
    for package in metadata.distributions(path=[str(folder)]):
        licences[package.metadata["Name"].lower()] = read_licence(package.metadata)
    bill = json.loads(file.read_text())
    for component in bill["components"]:
        licence = licences.get(component["name"].lower(), NOT_STATED)
        if not component.get("licenses") and licence != NOT_STATED:
            component["licenses"] = [{"license": {"name": licence}}]
    file.write_text(json.dumps(bill, indent=2) + "\n")
    return file


def fill_page(text: str) -> str:
    """Return the page with the table of today's packages."""
    lines = ["| package | version | licence |", "|---|---|---|"]
    for package in list_packages():
        lines.append(f"| {package.name} | {package.version} | {package.licence} |")
    table = "\n".join(lines) + "\n"
    return TABLE.sub(lambda _: table, text)


def list_packages() -> Iterator[Package]:
    """Yield what the site's image has on this kind of machine, by name."""
    export = [find_uv(), "export", "--frozen", *GROUPS, "--no-emit-project", "--no-hashes", "--no-annotate"]
    for line in _run([*export, "--no-header", "--quiet"]).splitlines():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            about = metadata.metadata(requirement.name)
            yield Package(requirement.name, about["Version"], read_licence(about))


def read_licence(about: metadata.PackageMetadata) -> str:
    """Return a package's licence as it says it itself: as an expression, in short, or by its classifiers."""
    expression = about.get("License-Expression")
    if expression:
        return expression
    classifiers = about.get_all("Classifier") or []
    names = [name.removeprefix(CLASSIFIER) for name in classifiers if name.startswith(CLASSIFIER)]
    stated = (about.get("License") or "").strip()
    is_short = stated and len(stated) <= LONGEST and "\n" not in stated
    if is_short and len(names) < 2:
        return stated
    return ", ".join(names) or NOT_STATED


def _run(command: list[str], **variables: str) -> str:
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise StackError(f"{Path(command[0]).name} failed: {last[0]}")
    return done.stdout
