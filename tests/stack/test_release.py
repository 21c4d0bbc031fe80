"""deploy/release.sh: what it refuses, and what a release says of its origin."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from stack import release_provenance
from stack.folders import ROOT

DOCKER = """#!/bin/sh
echo "$*" >> "$DOCKER_LOG"
case "$*" in
*imagetools*) echo sha256:0 ;;
esac
"""
# Makes a distribution of each project, and the SBOM.
PYTHON = """#!/bin/sh
case "$*" in
*"-m build"*) mkdir -p "$5"; echo made > "$5/$(basename "$6").whl" ;;
*"stack sbom"*) mkdir -p var/sbom; echo {} > var/sbom/site.cdx.json ;;
esac
"""
BASE = "python:3.13-slim@sha256:" + "ab" * 32


def test_the_provenance_names_each_file_the_commit_and_the_base_images(tmp_path):
    (tmp_path / "a.whl").write_bytes(b"wheel")
    (tmp_path / "base-images.txt").write_text(f"{BASE}\n")
    (tmp_path / "SHA256SUMS").write_text("of an earlier run")

    said = release_provenance.describe(tmp_path, version="1.0", commit="c" * 40)

    assert said["subject"][0] == {
        "name": "a.whl",
        "digest": {"sha256": hashlib.sha256(b"wheel").hexdigest()},
    }
    assert [one["name"] for one in said["subject"]] == ["a.whl", "base-images.txt"]
    source, image = said["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert source["digest"] == {"gitCommit": "c" * 40}
    assert image == {"uri": "pkg:docker/python:3.13-slim", "digest": {"sha256": "ab" * 32}}


@pytest.mark.parametrize(("options", "pushed"), [((), 0), (("--push", "registry.example.com"), 2)])
def test_docker_attests_only_what_it_pushes(tmp_path, options, pushed):
    """An attestation has the time in it, and an archive is the same whenever it is built."""
    for name in ("deploy/release.sh", "Dockerfile", "deploy/training.Dockerfile", "core/version.py"):
        copy = tmp_path / "tree" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)
    commit(tmp_path / "tree")
    (tmp_path / "tree/.git/info/exclude").write_text(".venv\nvar\n")
    (tmp_path / "tree/var").mkdir()
    programs = {"tree/.venv/bin/python": PYTHON, "bin/python3": PYTHON, "bin/docker": DOCKER}
    for name, text in programs.items():
        program = tmp_path / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    log = tmp_path / "docker.log"

    done = subprocess.run(
        [str(tmp_path / "tree/deploy/release.sh"), *options],
        env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "DOCKER_LOG": str(log)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    builds = [line for line in log.read_text().splitlines() if "buildx build" in line]
    archives = [line for line in builds if "type=oci" in line]
    assert len(archives) == 2
    assert all("--provenance=false --sbom=false" in line for line in archives)
    attested = [line for line in builds if "--provenance=mode=max --sbom=true" in line]
    assert len(attested) == pushed
    assert all("type=registry" in line for line in attested)


def commit(folder: Path) -> None:
    """Make a folder a repository with everything in it as one commit."""
    run = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["git", "init", "-q"], ["git", "add", "-A"], [*run, "commit", "-qm", "first"]):
        subprocess.run(command, cwd=folder, check=True)


def test_a_tree_that_differs_from_its_commit_is_no_release(tmp_path):
    (tmp_path / "deploy").mkdir()
    script = tmp_path / "deploy" / "release.sh"
    script.write_text((ROOT / "deploy" / "release.sh").read_text())
    script.chmod(0o755)
    commit(tmp_path)
    (tmp_path / "new").touch()

    done = subprocess.run([str(script)], capture_output=True, text=True)

    assert done.returncode == 1
    assert "The working tree differs from its commit" in done.stderr
