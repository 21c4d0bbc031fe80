"""`make test-quick FLOOR=tenants`: one app's tests, beside services that stay up between runs.

The first run starts PostgreSQL, Valkey and S3 in var/quick, in a process of their own, and migrates a
database. Later runs find both; each copies that database for its tests. A folder's tests run in as many
processes as there are processors, a file's in one. The services stop when no run has used them for IDLE_S.
"""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from stack import services, template_database
from stack.errors import ServiceFailed, StackError
from stack.folders import ROOT, Folders, private, shown
from stack.run import after_dashes
from stack.steps import Steps
from stack.testing import SIDE_BY_SIDE

FOLDERS = Folders(ROOT / "var" / "quick", temporary=True)
VARIABLES = FOLDERS.var / "variables.json"  # written when the services are ready; with their passwords
USED = FOLDERS.var / "used"  # its time is that of the last run
LOG = FOLDERS.var / "services.log"
MIGRATIONS = FOLDERS.var / "migrations"  # the digest of those that made the template
IDLE_S = 1800.0
READY_WITHIN_S = 300.0
POLL_S = 0.2


def test_quick(floor: str, options: Sequence[str]) -> int:
    """Run the tests in tests/FLOOR; return pytest's exit code. Raises StackError."""
    tests = ROOT / "tests" / floor
    if not tests.exists():
        raise StackError(
            f"There is no {shown(tests)}: give FLOOR=tenants, adapters, inference, billing, or a "
            "path below tests/."
        )
    FOLDERS.make()
    with open(FOLDERS.var / "tests.lock", "w", opener=private) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs would empty each other's database
        USED.touch()
        variables = _variables()
        digest = template_database.digest_of_migrations()
        if not MIGRATIONS.exists() or MIGRATIONS.read_text() != digest:
            template_database.provide(variables)  # what each run copies
            MIGRATIONS.write_text(digest)
        workers = SIDE_BY_SIDE if tests.is_dir() else []
        command = [sys.executable, "-m", "pytest", str(tests), *workers, *after_dashes(options)]
        environment = {**os.environ, **variables, template_database.VARIABLE: template_database.NAME}
        code = subprocess.run(command, cwd=ROOT, env=environment).returncode
        USED.touch()
        return code


def keep_services() -> int:
    """Keep the three services up until nobody has used them for IDLE_S. Runs in a process of its own."""
    steps = Steps(sys.stderr)
    with services.opened(FOLDERS, steps) as stack:
        try:
            stack.waiting.all(services.start(stack))
            with open(VARIABLES, "w", opener=private) as file:
                json.dump(stack.variables, file)
            while time.time() - USED.stat().st_mtime < IDLE_S:
                stack.supervisor.revive()
                time.sleep(1)
        finally:
            VARIABLES.unlink(missing_ok=True)
    return 0


def _variables() -> dict[str, str]:
    """Return the environment of the services that are up; start them if none are. Raises ServiceFailed."""
    if not _is_held():
        VARIABLES.unlink(missing_ok=True)  # what a killed process left
        MIGRATIONS.unlink(missing_ok=True)
        command = [sys.executable, "-m", "stack.quick"]
        with open(LOG, "w", opener=private) as log:
            subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    until = time.monotonic() + READY_WITHIN_S
    while not VARIABLES.exists():
        if time.monotonic() > until:
            raise ServiceFailed(f"The services are not ready. See {shown(LOG)}.")
        time.sleep(POLL_S)
    variables: dict[str, str] = json.loads(VARIABLES.read_text())
    return variables


def _is_held() -> bool:
    """Return whether a process keeps the services up."""
    with open(FOLDERS.var / "lock", "a+", opener=private) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


if __name__ == "__main__":
    sys.exit(keep_services())
