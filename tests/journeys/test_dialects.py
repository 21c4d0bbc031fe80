"""What holds in every form of a request: by the official clients of OpenAI and Anthropic, unchanged."""

import json
from itertools import islice

import pytest

from tests.journeys.builders import QUESTION, WEATHER, billed
from tests.journeys.dialects import DIALECTS, Dialect

CITIES = WEATHER["function"]["parameters"]["properties"]["city"]["enum"]
LONGEST_CALL = 120
each_dialect = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


@each_dialect
def test_a_stream_is_the_whole_answer_and_both_are_billed(demo, dialect: Dialect):
    chat = demo.say("poetry", QUESTION[0]["content"], max_tokens=16, temperature=0)
    asked = dialect.asked()
    whole, streamed = dialect.both(demo, asked)
    assert whole.model == streamed.model == "poetry"
    assert whole.text == streamed.text == chat
    assert whole.ended == streamed.ended
    assert whole.ended in ("stop", "length")
    for said in (whole, streamed):
        assert billed(demo, said.request_id) == said.tokens == whole.tokens
    stream, _ = dialect.begin(demo, asked)
    texts = [text for event in stream if (text := dialect.text_of(event))]
    assert len(texts) > 1
    assert "".join(texts) == chat


@each_dialect
def test_an_answer_says_where_it_was_cut(demo, dialect: Dialect):
    asked = dialect.asked(max_tokens=3)
    for said in dialect.both(demo, asked):
        assert (said.ended, said.tokens[1]) == ("length", 3)


@each_dialect
@pytest.mark.parametrize(("choice", "is_strict"), [("required", True), ("named", False)])
def test_a_function_that_must_be_called_is_called(demo, dialect: Dialect, choice, is_strict):
    """SmolLM2 was never taught tools: that it calls one all the same is the engine's grammar.

    LangChain, instructor and the AI SDK ask for structured output by a named one that is not strict.
    """
    asked = dialect.asked(max_tokens=LONGEST_CALL) | dialect.forced(choice, is_strict=is_strict)
    for said in dialect.both(demo, asked):
        [(name, arguments)] = said.calls
        assert (name, json.loads(arguments)["city"] in CITIES) == ("weather", True)
        assert not said.text
    answered = dialect.whole(demo, dialect.asked() | dialect.told(said, "It rains."))
    assert answered.text


@each_dialect
@pytest.mark.parametrize("limit", [2, 22])
def test_a_call_that_the_limit_cuts_is_given_as_a_call(demo, dialect: Dialect, limit):
    asked = dialect.asked(max_tokens=limit) | dialect.forced("required", is_strict=False)
    for said in dialect.both(demo, asked):
        [(name, arguments)] = said.calls
        assert (said.ended, name, said.text) == ("length", "weather", "")
        begun = "".join(arguments.split())
        assert any(f'{{"city":"{city}"}}'.startswith(begun) for city in CITIES)


@each_dialect
def test_a_schema_is_parsed_into_its_class(demo, dialect: Dialect):
    assert dialect.parsed(demo, dialect.asked(max_tokens=60)).colour in ("blue", "red")


@each_dialect
def test_a_hang_up_is_billed_what_was_made(demo, dialect: Dialect):
    stream, request_id = dialect.begin(demo, dialect.asked(max_tokens=400, model="base"))
    seen = list(islice(filter(None, map(dialect.text_of, stream)), 4))
    stream.close()
    _, written = billed(demo, request_id, outcome="disconnected")
    assert len(seen) - 1 <= written < 200


# The error of both clients, its code at OpenAI's, and its type at Anthropic's.
WRONG_KEY = ("AuthenticationError", "invalid_api_key", "authentication_error")
UNKNOWN_STYLE = ("NotFoundError", "model_not_found", "not_found_error")
TOO_LONG = ("BadRequestError", "context_length_exceeded", "invalid_request_error")


@each_dialect
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_refusal_is_the_clients_own_error(demo, dialect: Dialect, stream):
    """One of each kind: the rooms have them all."""
    words = [{"role": "user", "content": "word " * 3000}]
    with demo.with_key("sk-ps-nonsense") as stranger:
        refusals = [
            (stranger, dialect.asked(), WRONG_KEY),
            (demo, dialect.asked(model="nobody/nothing"), UNKNOWN_STYLE),
            (demo, dialect.asked() | {dialect.turns: words}, TOO_LONG),
        ]
        for writer, asked, (error, *codes) in refusals:
            with pytest.raises(getattr(dialect.errors, error)) as raised:
                dialect.door(writer).create(**asked, stream=stream)
            assert dialect.code_of(raised.value) in codes
            assert "/" not in raised.value.message.replace("nobody/nothing", "").replace("/v1/models", "")
