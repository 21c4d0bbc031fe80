"""Part of `make check`: the rules and the configuration of Prometheus, by its own promtool."""

import shutil
import subprocess
import sys

from stack.checks import NOT_CHECKED
from stack.folders import ROOT

FOLDER = ROOT / "deploy" / "observability"
CHECKS = (("rules", "alerts.yml"), ("config", "--syntax-only", "prometheus.yml"))


def check() -> int:
    """Print what Prometheus would refuse; return an exit code."""
    if not shutil.which("promtool"):
        print(f"{NOT_CHECKED}promtool is not installed (on Debian: prometheus), so no rule was read.")
        return 0
    commands = [["promtool", "check", *check] for check in CHECKS]
    return max(subprocess.run(command, cwd=FOLDER).returncode for command in commands)


if __name__ == "__main__":
    sys.exit(check())
