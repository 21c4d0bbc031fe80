"""What `make check` says of known vulnerabilities, by the real pip-audit against a database on loopback."""

import json
from collections.abc import Iterator
from datetime import date

import pytest

from stack import auditing
from stack.auditing import Accepted, DatabaseAway, ask, judge
from tests.stack.servers import Handler, serving

TODAY = date(2026, 11, 26)
FAULT = {
    "id": "PYSEC-2026-77",
    "aliases": ["CVE-2026-7777"],
    "summary": "Answers anybody.",
    "affected": [
        {
            "package": {"name": "leaky", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2"}]}],
        }
    ],
}


class Database(Handler):
    """OSV, as far as pip-audit asks it: version 1.1 of one package is vulnerable."""

    def do_POST(self):
        asked = json.loads(self.read_body())
        is_leaky = (asked["package"]["name"], asked["version"]) == ("leaky", "1.1")
        self.answer(200, json.dumps({"vulns": [FAULT]} if is_leaky else {}).encode())


def options_of(port: int) -> list[str]:
    """Return the options that lead pip-audit to a database on loopback."""
    return ["--vulnerability-service", "osv", "--osv-url", f"http://127.0.0.1:{port}/v1/query"]


@pytest.fixture
def database() -> Iterator[list[str]]:
    with serving(Database) as server:
        yield options_of(server.server_port)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(auditing, "CACHE", tmp_path / "cache")


def accept(until: date, known: str = "CVE-2026-7777") -> list[Accepted]:
    return [Accepted(known, reason="never called", until=until)]


def test_a_vulnerable_pin_is_a_fault_until_it_is_accepted_and_after_its_day_and_a_sound_one_is_none(
    database,
):
    report = ask("leaky==1.1\nsound==3.0", database)

    [fault] = judge("uv.lock", report, [], TODAY)
    assert report.compared == 2
    assert "leaky 1.1" in fault
    assert "PYSEC-2026-77" in fault
    assert "fixed in 1.2" in fault
    assert judge("uv.lock", report, accept(TODAY), TODAY) == []
    assert judge("uv.lock", report, accept(date(2027, 1, 1), "CVE-2026-1"), TODAY) == [fault]
    [overdue] = judge("uv.lock", report, accept(date(2026, 11, 25)), TODAY)
    assert "accepted until 2026-11-25 only" in overdue
    assert ask("leaky==1.2", database).found == ()


def test_a_database_that_is_away_says_nothing_about_the_pins():
    with pytest.raises(DatabaseAway):
        ask("leaky==1.1", options_of(9))


def test_a_mirror_without_a_database_is_not_taken_for_a_clean_answer():
    answer = {"dependencies": [{"name": "leaky", "skip_reason": "not found"}], "fixes": []}
    with pytest.raises(DatabaseAway, match="none of the packages"):
        auditing.read_report(answer)


def test_without_a_database_the_check_passes_and_says_so_in_one_line(monkeypatch, capsys):
    def away(pins, options):
        raise DatabaseAway("ConnectionError")

    monkeypatch.setattr(auditing, "ask", away)
    assert auditing.audit() == 0
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert said.startswith("not audited: no database was reached, none of ")


def test_every_lock_is_read_whole_and_without_the_builds_of_a_machine():
    site = auditing.read_uv_lock().splitlines()
    engine = auditing.read_pins(auditing.ROOT / "engine/locks/cpu.txt").splitlines()

    assert any(pin.startswith("django==") for pin in site)
    assert any(pin.startswith("vllm==") for pin in engine)
    assert not [pin for pin in [*site, *engine] if "+" in pin]


def test_what_is_accepted_needs_a_reason_and_a_day():
    table = '[[tool.polyscribe.accepted-vulnerabilities]]\nid = "X"\n'
    with pytest.raises(TypeError):
        auditing.read_accepted(table)
    [known] = auditing.read_accepted(f'{table}reason = "unused"\nuntil = 2027-01-31\n')
    assert known.until == date(2027, 1, 31)
