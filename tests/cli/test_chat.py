"""Writing: whole, in pieces, and what becomes of an answer that breaks off."""

import httpx
import pytest

from polyscribe import ApiError, Unreachable
from tests.cli.conftest import Terminal

pytestmark = pytest.mark.usefixtures("writer")

TEXT = "I am brand-voice"


def test_an_answer_comes_whole_or_in_pieces(client):
    assert client.chat.complete("brand-voice", "Who?") == TEXT
    pieces = list(client.chat.stream("brand-voice", "Who?"))
    assert "".join(pieces) == TEXT
    assert len(pieces) > 1


def test_an_error_in_the_middle_of_a_stream_is_raised(client, writer):
    writer.breaks_after = 2
    pieces = []
    with pytest.raises(ApiError) as caught:
        pieces.extend(client.chat.stream("brand-voice", "Who?"))

    assert caught.value.code == "server_is_overloaded"
    assert caught.value.request_id.startswith("req_")


def test_a_stream_without_its_end_is_not_taken_for_an_answer(client, service):
    events = 'data: {"choices": [{"delta": {"content": "I"}}]}\n\n'
    service.faults = [httpx.Response(200, text=events, headers={"Content-Type": "text/event-stream"})]

    with pytest.raises(Unreachable, match="ended early"):
        list(client.chat.stream("brand-voice", "Who?"))


def test_the_command_prints_the_answer_as_text_or_json(logged_in):
    assert logged_in("chat", "Who?", "--style", "brand-voice").out == f"{TEXT}\n"
    assert logged_in("chat", "--style", "brand-voice", stdin="Who?").out == f"{TEXT}\n"
    done = logged_in("chat", "Who?", "--style", "brand-voice", "--json")
    assert done.json == {"model": "brand-voice", "text": TEXT}


def test_a_model_cannot_steer_the_terminal(logged_in, writer):
    writer.words = ["a\x1b", "[2Jb"]

    assert logged_in("chat", "Who?", "--style", "brand-voice").out == "a[2Jb\n"


def test_two_versions_are_compared_side_by_side(logged_in, writer, acme):
    done = logged_in("compare", "brand-voice", "1", "live", "--prompt", "Who?", "--json")

    assert [answer["model"] for answer in done.json["answers"]] == ["brand-voice@1", "brand-voice@live"]
    assert [answer["text"] for answer in done.json["answers"]] == [TEXT, TEXT]
    versions = acme.styles.get().versions.all()
    assert {body["model"] for body in writer.received} == {version.engine_name for version in versions}
    assert TEXT in logged_in("compare", "brand-voice", "1", "2", "--prompt", "Who?").out


def test_a_conversation_remembers_what_was_said(logged_in, writer, monkeypatch):
    monkeypatch.setattr(Terminal, "isatty", lambda _: True)

    done = logged_in("chat", "--style", "brand-voice", stdin="Who?\n\nAnd who else?\n")

    assert done.code == 0
    assert done.out.count(TEXT) == 2
    said = [message["content"] for message in writer.received[1]["messages"]]
    assert said == ["Who?", TEXT, "And who else?"]


def test_a_failed_answer_does_not_end_a_conversation(logged_in, client, writer, monkeypatch):
    writer.refuses = (400, "top_k must be odd")
    monkeypatch.setattr(Terminal, "isatty", lambda _: True)

    with pytest.raises(ApiError) as refused:
        client.chat.complete("brand-voice", "Who?")
    done = logged_in("chat", "--style", "brand-voice", stdin="Who?\nWho?\n")

    assert done.code == 0
    assert done.err.count(refused.value.detail) == 2
