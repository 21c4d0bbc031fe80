"""deploy/release.sh: what it refuses, and what a release says of its origin."""

import hashlib
import subprocess

from stack import release_provenance
from stack.folders import ROOT

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


def test_a_tree_that_differs_from_its_commit_is_no_release(tmp_path):
    run = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    (tmp_path / "deploy").mkdir()
    script = tmp_path / "deploy" / "release.sh"
    script.write_text((ROOT / "deploy" / "release.sh").read_text())
    script.chmod(0o755)
    for command in (["git", "init", "-q"], ["git", "add", "-A"], [*run, "commit", "-qm", "first"]):
        subprocess.run(command, cwd=tmp_path, check=True)
    (tmp_path / "new").touch()

    done = subprocess.run([str(script)], capture_output=True, text=True)

    assert done.returncode == 1
    assert "The working tree differs from its commit" in done.stderr
