"""Habits of a command line: confirm, check arguments first, complete names, end quietly, start fast."""

import os
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
import typer
from django.utils import timezone

from core.money import NANO
from events.models import WebhookEndpoint
from metering.ledger import record_events
from polyscribe.commands import main, show
from polyscribe.commands.main import app
from polyscribe.commands.session import Scope
from polyscribe.commands.show import dollars, moment
from tenants.models import ApiKey
from tenants.models import Scope as ServiceScope
from tests.adapters.builders import known
from tests.cli.conftest import Terminal
from tests.cli.service import BASE_URL, problem
from tests.tenants.builders import issue_key, make_event

VERSION_CPU_S = 0.2
ENDPOINT = "https://example.com/webhooks"
URL = "http://localhost:9000/hook"

UNDOABLE = [
    ["keys", "revoke", "newsletter"],
    ["keys", "rotate", "newsletter"],
    ["retire", "brand-voice", 1],
    ["styles", "delete", "brand-voice"],
    ["webhooks", "delete", ENDPOINT],
]
WRONG = [
    ["api", "GET", "https://elsewhere.example/"],
    ["api", "FETCH", "/styles"],
    ["api", "POST", "/keys", "--field", "name"],
    ["canary", "brand-voice", 1],
    ["canary", "brand-voice", 1, 10, "--end"],
    ["canary", "brand-voice", 1, 100],
    ["chat", "--max-tokens", 0, "Hello"],
    ["chat", "--json"],
    ["compare", "brand-voice", "1", "newest", "--prompt", "Hello"],
    ["keys", "create", "x", "--scope", "everything"],
    ["keys", "create", "x", "--expires-at", "tomorrow"],
    ["keys", "create", "x", "--expires-at", "2001-01-01T00:00:00Z"],
    ["login", "--scope", "everything"],
    ["polish"],
    ["promote", "brand-voice", "newest"],
    ["requests", "--outcome", "lost"],
    ["requests", "--follow", "--csv"],
    ["retire", "brand-voice", 0, "--yes"],
    ["styles", "--kind", "mine"],
    ["styles", "edit", "brand-voice"],
    ["train", "my-voice", "--yes"],
    ["train", "my-voice", "no-file.txt"],
    ["usage", "--group-by", "day,colour"],
    ["usage", "--start", "2026-13-01"],
    ["webhooks", "create", "example.com/hook"],
    ["webhooks", "create", "https://example.com/hook", "--event", "everything"],
    ["webhooks", "listen", "--forward", "localhost:9000"],
    *(["webhooks", "listen", "--forward", URL, "--secret", no] for no in ("whsec_?", "whsec_abc", "sk-ps-x")),
]


@pytest.fixture
def things(logged_in, service, acme, engine):
    """A style with a version, a key and an endpoint."""
    issue_key(acme, name="newsletter", by=None)
    known(acme, "brand-voice", engine)
    assert logged_in("webhooks", "create", ENDPOINT).code == 0
    service.requests.clear()
    return service


def test_what_cannot_be_undone_is_confirmed(logged_in, things, monkeypatch):
    for arguments in UNDOABLE:
        unattended = logged_in(*arguments)
        assert (unattended.code, "--yes" in unattended.err) == (2, True), arguments
    assert things.requests == []

    monkeypatch.setattr(Terminal, "isatty", lambda _: True)
    for arguments in UNDOABLE:
        declined = logged_in(*arguments, stdin="n\n")
        assert (declined.code, "can't be undone" in declined.err) == (1, True), arguments
    assert {method for method, _ in things.requests} <= {"GET"}


def test_every_command_that_asks_is_in_the_list_above():
    asking = set()
    for name, command in typer.main.get_command(app).commands.items():
        for inner, one in getattr(command, "commands", {"": command}).items():
            if any(parameter.name == "yes" for parameter in one.params):
                asking.add(f"{name} {inner}".rstrip())
    listed = {" ".join(map(str, words)) for words in UNDOABLE}
    assert len(asking) == len(listed)
    assert all(any(line.startswith(words) for line in listed) for words in asking)


def test_arguments_are_checked_before_the_login(offline_command):
    assert [words for words in WRONG if offline_command(*words).code != 2] == []


def test_a_folder_is_checked_before_the_login(offline_command, tmp_path):
    done = offline_command("push", tmp_path, "--style", "brand-voice")

    assert done.code == 1
    assert "adapter_config.json is missing" in done.err


def test_a_wrong_scope_is_told_the_right_ones(offline_command):
    done = offline_command("keys", "create", "x", "--scope", "everything")

    words = "".join(done.err.split()).replace("│", "")
    assert all(f"'{scope.value}'" in words for scope in Scope)
    assert {scope.value for scope in Scope} == set(ServiceScope.values)


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


def serve(tenant, number: int) -> None:
    """Record a request that cost a cent."""
    event = make_event(
        tenant, request_id=f"req_{number}", admitted_at=timezone.now(), cost_nanousd=NANO // 100
    )
    record_events([event])


def test_people_read_dollars_and_how_long_ago(logged_in, things, acme):
    written = {
        "0": "$0.00",
        "0.01": "$0.01",
        "1234.5": "$1,234.50",
        "0.000045": "$0.000045",
        "0.0000000301": "$0.00000003",
        "-3": "$-3.00",
    }
    assert {amount: dollars(amount) for amount in written} == written
    assert moment(ago(minutes=2)) == "2 minutes ago"
    assert moment(ago(hours=1, minutes=3)) == "1 hour ago"
    assert moment(ago(days=-3, minutes=-1)) == "in 3 days"
    assert moment("2001-01-01T00:00:00Z") == "2001-01-01"
    assert moment(None, never="never") == "never"

    used_at = timezone.now() - timedelta(minutes=2)
    ApiKey.objects.filter(name="newsletter").update(last_used_at=used_at)
    serve(acme, 1)
    assert "2 minutes ago" in logged_in("keys", "list").out
    [listed] = [key for key in logged_in("keys", "list", "--json").json if key["name"] == "newsletter"]
    assert datetime.fromisoformat(listed["last_used_at"]) == used_at
    assert "$0.01" in logged_in("requests").out
    assert logged_in("requests", "--json").json[0]["cost_usd"] == "0.01"
    assert "$" not in logged_in("usage", "--csv").out


def test_what_a_program_reads_is_never_wrapped(capsys):
    cell = "word " * 100
    show.print_line(cell)
    show.print_table({"name": "name", "words": "words"}, [{"name": "one", "words": cell}])
    show.print_note(cell)
    out, err = capsys.readouterr()
    assert [line.count("word ") for line in out.splitlines()] == [100, 0, 100]
    assert err.count("\n") == 1


def test_new_requests_are_followed_each_once(logged_in, service, acme):
    serve(acme, 1)
    service.happens = [lambda: serve(acme, 2), lambda: None, lambda: serve(acme, 3)]
    service.is_interrupted_at_the_end = True

    done = logged_in("requests", "--follow", "--json")

    assert done.code == 130
    assert [line.count("req_") for line in done.out.splitlines()] == [1, 1, 1]
    assert done.out.index("req_1") < done.out.index("req_2") < done.out.index("req_3")


def test_any_request_of_the_api_can_be_sent(logged_in, things):
    assert logged_in("api", "get", "/styles").json["data"][0]["model"] == "acme/brand-voice"
    assert logged_in("api", "GET", "/v1/key").json["name"] == "laptop"
    lines = logged_in("api", "GET", "/api/v1/styles", "--paginate").out.splitlines()
    assert len(lines) == 1
    made = logged_in("api", "POST", "/keys", "--field", "name=other").json
    assert made["name"] == "other"
    missing = logged_in("api", "GET", "/nothing")
    assert missing.code == 1
    assert "No such endpoint" in missing.err


def test_pages_are_opened(logged_in, things, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr(main.typer, "launch", opened.append)

    logged_in("open", "usage")
    logged_in("open", "brand-voice")
    assert opened == [
        f"{BASE_URL}/usage/?workspace=acme",
        f"{BASE_URL}/styles/acme/brand-voice/?workspace=acme",
    ]
    assert logged_in("open", "keys", "--print").out == f"{BASE_URL}/keys/?workspace=acme\n"
    assert len(opened) == 2


@pytest.mark.usefixtures("things", "poetry")
def test_names_are_completed(logged_in, monkeypatch):
    names = {
        "promote ": "brand-voice",
        "promote acme/": "acme/brand-voice",
        "promote brand-voice ": "1",
        "select ": "poetry",
        "keys revoke ": "newsletter",
        "webhooks delete ": str(WebhookEndpoint.objects.get().pk),
        "open us": "usage",
        "--profile ": "acme",
    }
    for typed, name in names.items():
        done = complete(logged_in, monkeypatch, f"polyscribe {typed}")
        assert name in [line.partition("\t")[0] for line in done.out.splitlines()], typed


def test_completion_is_silent_when_the_service_fails(logged_in, things, monkeypatch):
    things.faults = [problem(500, "server_error", "Something went wrong on our side.")]

    done = complete(logged_in, monkeypatch, "polyscribe promote ")

    assert (done.out.strip(), done.err.strip()) == ("", "")


def complete(command, monkeypatch, typed: str):
    """Ask as fish does, which also gets descriptions."""
    monkeypatch.setenv("_POLYSCRIBE_COMPLETE", "complete_fish")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", typed)
    return command()


@pytest.mark.parametrize("arguments", [["--help"], ["profiles", "list", "--json"], ["keys", "--help"]])
def test_a_reader_that_has_gone_is_no_fault(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "polyscribe", *arguments], stdout=writer, stderr=subprocess.PIPE, timeout=60
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (0, b"")


def test_the_version_takes_little_time():
    assert min(version_cpu_s() for _ in range(3)) <= VERSION_CPU_S  # others use the machine's caches, too


def version_cpu_s() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "polyscribe", "--version"], capture_output=True, text=True, timeout=60
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    assert done.stdout.startswith("polyscribe ")
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
