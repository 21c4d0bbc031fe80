"""PostgreSQL's and Valkey's passwords, replaced while they are in use, by the steps of docs/running.md."""

import secrets

from trials.compose.project import Project

SECOND_ROLE = """
CREATE ROLE second LOGIN PASSWORD '{new}' IN ROLE polyscribe;
ALTER ROLE second SET role TO polyscribe
"""
FORGET_OLD = "ALTER ROLE polyscribe PASSWORD '{new}'"
CALL_VALKEY = 'REDISCLI_AUTH="$(cat /run/secrets/valkey_password)" valkey-cli ACL SETUSER default "$0"'


def add_second(project: Project) -> str:
    """Let new passwords count beside the old ones, and have processes that start from now on use them.

    Return Valkey's old one.
    """
    old = project.variables()["VALKEY_PASSWORD"]
    for_postgres, for_valkey = secrets.token_hex(32), secrets.token_hex(32)
    _ask_postgres(project, SECOND_ROLE.format(new=for_postgres))
    _ask_valkey(project, f">{for_valkey}")
    project.change(
        {"POSTGRES_ROLE": "second", "POSTGRES_PASSWORD": for_postgres, "VALKEY_PASSWORD": for_valkey}
    )
    return old


def forget_first(project: Project, old_of_valkey: str) -> None:
    """Let the old passwords count no longer; connections that are open stay."""
    _ask_postgres(project, FORGET_OLD.format(new=project.variables()["POSTGRES_PASSWORD"]))
    _ask_valkey(project, f"<{old_of_valkey}")
    project.change({"POSTGRES_ROLE": ""})


def _ask_postgres(project: Project, statements: str) -> None:
    project.execute("postgres", "psql", "-U", "polyscribe", "-d", "polyscribe", "-c", statements)


def _ask_valkey(project: Project, rule: str) -> None:
    project.execute("valkey", "sh", "-c", CALL_VALKEY, rule)
