"""The site's wheel holds what the site needs, and is the same whenever it is built."""

import hashlib
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from stack import distributions
from stack.folders import ROOT
from stack.wheel_hook import PACKAGED_FILES, is_packaged

PROGRAM = """
import core.project_root
from config.command_line import main
print(core.project_root.PROJECT_ROOT)
main()
"""


@pytest.fixture
def built() -> list[Path]:
    """The sdist and the wheel, which is built from the sdist: those of `make check`, if it ran."""
    return distributions.provide(ROOT)


@pytest.fixture
def wheel(built) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(file for file in built if file.suffix == ".whl"))


def digests(files: list[Path]) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_second_build_is_the_same_byte_for_byte(built, tmp_path):
    assert len(built) == 2
    assert digests(distributions.build(ROOT, tmp_path / "again")) == digests(built)


def test_a_changed_file_is_built_anew(monkeypatch):
    before = distributions.fingerprint()
    assert distributions.fingerprint() == before
    monkeypatch.setattr(distributions, "DECIDING", (*distributions.DECIDING, "CHANGELOG.md"))
    assert distributions.fingerprint() != before


def test_the_wheel_has_every_template_guide_and_static_file_of_the_checkout(wheel):
    names = set(wheel.namelist())
    needed = {file for pattern in PACKAGED_FILES for file in ROOT.glob(pattern) if is_packaged(file)}
    assert len(needed) > 400
    assert {f"core/project/{file.relative_to(ROOT)}" for file in needed} <= names
    assert {
        "core/project/static/fonts/sans-400.woff2",
        "core/project/locale/de/LC_MESSAGES/django.mo",
    } <= names
    assert not [name for name in names if "/docs/decisions/" in name]


def test_the_site_runs_from_the_wheel_without_a_checkout(wheel, tmp_path):
    wheel.extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "collectstatic", "--no-input"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{tmp_path}/core/project\n")
    assert (tmp_path / "core/project/var/static/fonts/sans-400.woff2").exists()


def test_the_extra_of_a_server_is_what_the_image_installs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["optional-dependencies"]["server"] == project["dependency-groups"]["traces"]
    assert "--group traces" in (ROOT / "Dockerfile").read_text()
