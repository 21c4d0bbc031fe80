"""`make bench-peers`: the peers in an environment of their own, `.venv-peers`, beside the site's."""

import subprocess
import sys

from bench.targets import PEERS
from stack.bootstrap import find_uv
from stack.folders import ROOT

REQUIREMENTS = ROOT / "bench" / "peers" / "requirements.txt"


def main() -> int:
    """Make the environment; uv tells what is wrong. Return its exit code."""
    uv = find_uv()
    python = str(PEERS / "bin" / "python")
    commands = [
        [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(PEERS)],
        [uv, "pip", "install", "--quiet", "--python", python, "--requirement", str(REQUIREMENTS)],
    ]
    for command in commands:
        if code := subprocess.run(command, cwd=ROOT).returncode:
            print("✗ The peers were not installed: check the network, then run this again.", file=sys.stderr)
            return code
    print(f"The peers are installed in {PEERS.name}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
