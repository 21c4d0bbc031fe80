"""What trials and benches ask of the site's own code, each a function of a module here.

It runs with the stack's variables in a process of its own, because neither the stack nor what it measures
imports Django.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from stack.errors import ServiceFailed
from stack.folders import ROOT


def run_in_site(function: str, variables: Mapping[str, str] = os.environ, **arguments: object) -> Any:
    """Return what a function returns, named like `tenants.create_tenants` or by its whole name.

    Raises ServiceFailed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "labs.site", function],
        env=variables,
        cwd=ROOT,
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ServiceFailed(f"{function} failed: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)
