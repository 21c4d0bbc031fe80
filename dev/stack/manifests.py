"""`make check`: deploy/kubernetes against Kubernetes' own schemas, each file, and the example as rendered."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from stack.checks import NOT_CHECKED, once
from stack.folders import ROOT, shown

FOLDER = ROOT / "deploy" / "kubernetes"
NAMESPACE = "polyscribe"  # of the example
VERSIONS = ("1.33", "1.37")  # of Kubernetes: the oldest and the newest that we say it is for


def read_files() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each object of the manifests, with the file that has it."""
    for file in sorted(FOLDER.rglob("*.yaml")):
        if file.name != "kustomization.yaml":
            for found in yaml.safe_load_all(file.read_text()):
                yield shown(file), found


def find_faults(source: str, found: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with an object in any version, a line each."""
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(found, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            path = ".".join(map(str, error.path))
            yield f"{source}: {found['kind']} {found['metadata']['name']}, {version}: {path}: {error.message}"


def render(folder: Path) -> list[dict[str, Any]]:
    """Return what `kubectl kustomize` makes of a folder. Raises CalledProcessError."""
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True)
    if done.returncode:
        print(done.stderr)
        done.check_returncode()
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def find_misplaced(rendered: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for an object outside the example's namespace, and for values that no pod reads."""
    for found in rendered:
        if found["metadata"].get("namespace") != NAMESPACE:
            yield f"rendered: {found['kind']} {found['metadata']['name']} is not in {NAMESPACE}"
    maps = {found["metadata"]["name"] for found in rendered if found["kind"] == "ConfigMap"}
    read = set(re.findall(r"polyscribe-(?:settings|engine|outgoing)-\w+", str(rendered)))
    if maps != read:
        yield f"rendered: pods read {sorted(read)}, and there are {sorted(maps)}"


def check() -> int:
    """Validate every object, also as rendered where kubectl is installed; return an exit code."""
    if shutil.which("kubectl"):
        files = [file for file in FOLDER.rglob("*") if file.is_file()]
        return once("kubernetes", [*files, Path(__file__)], lambda: validate(render(FOLDER / "example")))
    print(f"{NOT_CHECKED}kubectl is not installed, so the files were validated, but not their rendering.")
    return validate([])


def validate(rendered: Sequence[dict[str, Any]]) -> int:
    """Print each fault of the files and of what was rendered; return an exit code."""
    objects = list(read_files())
    faults = list(find_misplaced(rendered))
    objects += [("rendered", found) for found in rendered]
    for source, found in objects:
        faults += find_faults(source, found)
    print(*faults, sep="\n")
    return 1 if faults or not objects else 0


if __name__ == "__main__":
    sys.exit(check())
