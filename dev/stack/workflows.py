"""Part of `make check`: the files of CI against their own schemas, and GitHub's workflows by zizmor.

Without a network: check-jsonschema carries the schemas.
"""

import subprocess
import sys
from pathlib import Path

from stack.folders import ROOT
from stack.passed import once

BINARIES = Path(sys.executable).parent
WORKFLOWS = ROOT / ".github" / "workflows"
# Each schema of check-jsonschema, and the files that it is for.
SCHEMAS = {
    "vendor.github-workflows": sorted(WORKFLOWS.glob("*.yml")),
    "vendor.gitlab-ci": [ROOT / ".gitlab-ci.yml"],
    "vendor.renovate": [ROOT / "renovate.json"],
}


def check() -> int:
    """Check every file of CI; return an exit code."""
    files = [file for files in SCHEMAS.values() for file in files]
    return once("workflows", [*files, ROOT / "uv.lock", Path(__file__)], read_files)


def read_files() -> int:
    """Print what is wrong with a file; return an exit code."""
    commands = [[str(BINARIES / "zizmor"), "--offline", "--no-progress", "--quiet", str(WORKFLOWS)]]
    for schema, files in SCHEMAS.items():
        names = [str(file) for file in files]
        commands.append([str(BINARIES / "check-jsonschema"), "--builtin-schema", schema, *names])
    return max(subprocess.run(command).returncode for command in commands)


if __name__ == "__main__":
    sys.exit(check())
