"""Writing: whole, in pieces, and what becomes of an answer that breaks off."""

import json

import pytest

from polyscribe import ApiError, Unreachable
from tests.cli.conftest import Terminal


def test_an_answer_comes_whole_or_in_pieces(client):
    assert client.chat.complete("brand-voice", "Who?") == "I am brand-voice"
    assert list(client.chat.stream("brand-voice", "Who?")) == ["I", " am ", "brand-voice"]


def test_an_error_in_the_middle_of_a_stream_is_raised(client):
    pieces = []
    with pytest.raises(ApiError, match="The engine stopped") as caught:
        pieces.extend(client.chat.stream("broken", "Who?"))

    assert caught.value.code == "engine_stopped"


def test_a_stream_without_its_end_is_not_taken_for_an_answer(client):
    with pytest.raises(Unreachable, match="ended early"):
        list(client.chat.stream("cut", "Who?"))


def test_the_command_prints_the_answer(logged_in):
    assert logged_in("chat", "Who?", "--style", "brand-voice").out == "I am brand-voice\n"
    assert logged_in("chat", "--style", "brand-voice", stdin="Who?").out == "I am brand-voice\n"


def test_the_command_prints_json_when_asked(logged_in):
    done = logged_in("chat", "Who?", "--style", "brand-voice", "--json")

    assert done.json == {"model": "brand-voice", "text": "I am brand-voice"}


def test_a_model_cannot_steer_the_terminal(logged_in):
    done = logged_in("chat", "Who?", "--style", "a\x1b[2Jb")

    assert done.out == "I am a[2Jb\n"


def test_two_versions_are_compared_side_by_side(logged_in):
    done = logged_in("compare", "brand-voice", "1", "live", "--prompt", "Who?", "--json")

    assert [answer["text"] for answer in done.json["answers"]] == [
        "I am brand-voice@1",
        "I am brand-voice@live",
    ]
    assert "I am brand-voice@1" in logged_in("compare", "brand-voice", "1", "2", "--prompt", "Who?").out


def test_a_conversation_remembers_what_was_said(logged_in, service, monkeypatch):
    bodies = []
    answer = service.answer

    def note_body(request):
        bodies.append(json.loads(request.read()))
        return answer(request)

    service.answer = note_body
    monkeypatch.setattr(Terminal, "isatty", lambda _: True)

    done = logged_in("chat", "--style", "brand-voice", stdin="Who?\n\nAnd who else?\n")

    assert done.code == 0
    assert done.out.count("I am brand-voice") == 2
    said = [message["content"] for message in bodies[1]["messages"]]
    assert said == ["Who?", "I am brand-voice", "And who else?"]


def test_a_failed_answer_does_not_end_a_conversation(logged_in, monkeypatch):
    monkeypatch.setattr(Terminal, "isatty", lambda _: True)

    done = logged_in("chat", "--style", "broken", stdin="Who?\nWho?\n")

    assert done.code == 0
    assert done.err.count("The engine stopped.") == 2
