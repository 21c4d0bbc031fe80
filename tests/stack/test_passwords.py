"""The steps of docs/running.md that replace PostgreSQL's and Valkey's passwords, on the real servers."""

import os
import re
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
import redis

from stack.folders import ROOT

SECTION = (ROOT / "docs" / "running.md").read_text().split("**`POSTGRES_PASSWORD` and")[1].split("\n### ")[0]
SQL = re.findall(r'psql .*<<< "(.+)"$', SECTION, re.MULTILINE)
RULES = re.findall(r'valkey-cli\' <<< "(.+)"$', SECTION, re.MULTILINE)
NEW = "a" * 64


@pytest.fixture
def database() -> Iterator[psycopg.Connection]:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS first")
        connection.execute("CREATE ROLE first LOGIN PASSWORD 'old'")
        yield connection
        connection.execute("DROP ROLE IF EXISTS second")
        connection.execute("DROP ROLE first")


def connect(role: str, password: str) -> psycopg.Connection:
    address = urlsplit(os.environ["DATABASE_URL"])
    return psycopg.connect(
        host=address.hostname, port=address.port, dbname=address.path[1:], user=role, password=password
    )


def run(database: psycopg.Connection, statements: str) -> None:
    # The tests' own role must keep its password; this one stands for it.
    for statement in statements.replace("polyscribe", "first").replace("NEW", NEW).split(";"):
        database.execute(statement)


def test_a_second_role_acts_as_the_first_one_until_both_passwords_are_new(database):
    add, forget, drop = SQL
    before = connect("first", "old")
    run(database, add)
    with connect("first", "old"), connect("second", NEW) as second:
        [who] = second.execute("SELECT session_user, current_user").fetchall()
        assert who == ("second", "first")
        second.execute("CREATE TEMPORARY TABLE made (id int)")
        assert second.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'made'").fetchone() == (
            "first",
        )
    run(database, forget)
    with closing(before):
        assert before.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect("first", "old")
    with connect("first", NEW):
        run(database, drop)


def test_valkeys_user_has_two_passwords_until_the_old_one_is_taken(valkey):
    """On a user of its own: the tests beside this one use `default`."""
    add, forget = (rule.replace("default", "rotated").replace("NEW", NEW).split() for rule in RULES)
    address = urlsplit(os.environ["VALKEY_URL"])
    options = {"username": "rotated", "decode_responses": True}
    if address.scheme == "unix":
        options["unix_socket_path"] = unquote(address.path)
    else:
        options |= {"host": address.hostname, "port": address.port}

    def connected(password: str) -> redis.Redis:
        return redis.Redis(password=password, **options)

    valkey.execute_command("ACL", "SETUSER", "rotated", "on", ">OLD", "+@all", "~*")
    try:
        before = connected("OLD")
        assert before.ping()
        valkey.execute_command(*add)
        assert connected("OLD").ping()
        assert connected(NEW).ping()
        valkey.execute_command(*forget)
        assert before.ping()
        assert connected(NEW).ping()
        with pytest.raises(redis.AuthenticationError):
            connected("OLD").ping()
    finally:
        valkey.execute_command("ACL", "DELUSER", "rotated")
