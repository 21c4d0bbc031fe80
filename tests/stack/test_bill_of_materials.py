"""The SBOM is whole and scanners can read it; the page of licences is that of uv.lock."""

import json
import sys
from pathlib import Path

from stack import bill_of_materials
from stack.bill_of_materials import NOT_STATED, PAGE, describe, fill_page, list_packages

STRONG_COPYLEFT = {"GPL-2.0", "GPL-3.0", "AGPL-3.0", "SSPL-1.0"}


def test_the_page_of_licences_is_of_today():
    assert PAGE.read_text() == fill_page(PAGE.read_text()), "make sbom writes the page again"


def test_every_package_states_a_licence_that_a_service_may_use():
    packages = list(list_packages())
    assert len(packages) > 60
    for package in packages:
        words = package.licence.replace("(", " ").replace(")", " ").split()
        assert package.licence != NOT_STATED, package.name
        assert not {word.removesuffix("-only").removesuffix("-or-later") for word in words} & STRONG_COPYLEFT


def test_the_sbom_names_every_package_with_its_version_and_licence(tmp_path: Path):
    file = describe(Path(sys.executable), tmp_path / "site.cdx.json")

    bill = json.loads(file.read_text())
    components = {component["purl"].partition("?")[0]: component for component in bill["components"]}
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "polyscribe")
    for package in list_packages():
        component = components[f"pkg:pypi/{package.name}@{package.version}"]
        assert component["licenses"], package.name


def test_what_only_development_needs_is_not_in_the_image():
    names = {package.name for package in bill_of_materials.list_packages()}
    assert {"django", "psycopg", "uvicorn"} <= names
    assert not names & {"pytest", "mypy", "fonttools", "babel", "cyclonedx-bom"}
