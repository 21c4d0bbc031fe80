"""A migrated database that tests copy: in a second, where the migrations take half a minute."""

import os
import subprocess
import sys
from collections.abc import Mapping

import psycopg

from stack.errors import ServiceFailed
from stack.folders import ROOT

NAME = "test_template"
VARIABLE = "TEST_DATABASE_TEMPLATE"  # tests/conftest.py reads it


def migrate_template(variables: Mapping[str, str]) -> None:
    """Make the database anew, and migrate it. Raises ServiceFailed."""
    url = variables["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as database:
        database.execute(f"DROP DATABASE IF EXISTS {NAME}")
        database.execute(f"CREATE DATABASE {NAME}")
    environment = {**os.environ, **variables, "DATABASE_URL": f"{url.rpartition('/')[0]}/{NAME}"}
    command = [sys.executable, "manage.py", "migrate", "-v", "0"]
    if subprocess.run(command, cwd=ROOT, env=environment).returncode:
        raise ServiceFailed("The migrations failed. See above.")
