"""A migrated database that tests copy. Its dump is kept in var/ until a migration changes.

Copying takes a second and restoring the dump two, where the migrations take half a minute.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg

from stack.checks import digest_of
from stack.errors import ServiceFailed
from stack.folders import ROOT
from stack.postgres import BINARIES

NAME = "test_template"
VARIABLE = "TEST_DATABASE_TEMPLATE"  # tests/conftest.py reads it


KEPT = ROOT / "var" / "template-database"


def provide(variables: Mapping[str, str]) -> None:
    """Make the template anew, from the dump of these migrations if there is one. Raises ServiceFailed."""
    url = variables["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as database:
        database.execute(f"DROP DATABASE IF EXISTS {NAME}")
        database.execute(f"CREATE DATABASE {NAME}")
    template_url = f"{url.rpartition('/')[0]}/{NAME}"
    dump = KEPT / f"{digest_of_migrations()}.dump"
    if dump.exists() and _restore(dump, template_url):
        return
    environment = {**os.environ, **variables, "DATABASE_URL": template_url}
    command = [sys.executable, "manage.py", "migrate", "-v", "0"]
    if subprocess.run(command, cwd=ROOT, env=environment).returncode:
        raise ServiceFailed("The migrations failed. See above.")
    _keep(dump, template_url)


def digest_of_migrations() -> str:
    """Return a digest of what makes the schema: our migrations, and the versions of others'."""
    migrations = [*ROOT.glob("*/migrations/*.py"), *ROOT.glob("platform/*/migrations/*.py")]
    return digest_of([*sorted(migrations), ROOT / "uv.lock"])


def _restore(dump: Path, url: str) -> bool:
    """Return whether the dump was restored; the one of another version of PostgreSQL may not be."""
    command = [str(BINARIES / "pg_restore"), "--exit-on-error", "--no-owner", f"--dbname={url}", str(dump)]
    return subprocess.run(command, capture_output=True).returncode == 0


def _keep(dump: Path, url: str) -> None:
    """Keep the template's dump in place of older ones'."""
    shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir(parents=True)
    new = dump.with_suffix(".new")
    command = [str(BINARIES / "pg_dump"), "--format=custom", "--compress=0", f"--file={new}", url]
    if subprocess.run(command, capture_output=True).returncode == 0:
        new.rename(dump)  # all or nothing: another run may be reading
