"""The request contract: every field is served, ignored or refused by name, and the docs say which."""

import json
from pathlib import Path
from typing import get_type_hints

import httpx2
import openai
import pydantic
import pytest
from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_create_params as beta_message_create_params
from openai.types import completion_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import input_token_count_params, response_create_params

from inference import errors
from inference.contract import base_model, endpoints, fields, requests
from inference.contract.dialects import anthropic_messages, openai_responses
from inference.contract.field_reader import describe_table

DOCS = Path(__file__).parents[3] / "docs" / "api.md"
CHAT = {"model": "poetry", "messages": [{"role": "user", "content": "Rain?"}]}
TEXT = {"model": "poetry", "prompt": "The sea"}
SKY = {"type": "object", "properties": {"colour": {"enum": ["blue", "red"]}}, "required": ["colour"]}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
# vLLM 0.32's own, by `vllm/entrypoints/openai/*/protocol.py`; those of OpenAI come from its client.
VLLMS = {
    "use_beam_search", "top_k", "min_p", "repetition_penalty", "watermarking", "length_penalty",
    "stop_token_ids",
    "include_stop_str_in_output", "ignore_eos", "min_tokens", "skip_special_tokens",
    "spaces_between_special_tokens", "truncate_prompt_tokens", "truncation_side", "prompt_logprobs",
    "logprob_token_ids", "allowed_token_ids", "bad_words", "add_special_tokens", "mm_payload",
    "return_mm_kwargs",
    "structured_outputs", "priority", "request_id", "session_id", "return_tokens_as_token_ids",
    "return_token_ids", "routed_experts_prompt_start", "return_token_offsets", "cache_salt",
    "kv_transfer_params", "ec_transfer_params", "vllm_xargs", "repetition_detection", "thinking_token_budget",
    "stream_interval", "response_format", "stream", "echo",
}  # fmt: skip
VLLMS_CHAT = VLLMS | {
    "include_reasoning", "add_generation_prompt", "continue_final_message", "documents", "chat_template",
    "chat_template_kwargs", "media_io_kwargs", "mm_processor_kwargs", "return_prompt_text",
}  # fmt: skip
VLLMS_TEXT = VLLMS | {"prompt_embeds"}
VLLMS_TOKENIZE = {
    "model", "prompt", "messages", "tools", "add_special_tokens", "return_token_strs",
    "add_generation_prompt", "continue_final_message", "chat_template", "chat_template_kwargs",
    "media_io_kwargs", "mm_processor_kwargs",
}  # fmt: skip


def names_of(*forms) -> set[str]:
    return {name for form in forms for name in get_type_hints(form)}


def parse(**changes):
    return requests.parse_request("chat", json.dumps(CHAT | changes).encode())


def complete(**changes):
    return requests.parse_request("text", json.dumps(TEXT | changes).encode())


def message(**changes):
    return anthropic_messages.parse_messages(json.dumps(CHAT | {"max_tokens": 5} | changes).encode())


def count(**changes):
    return anthropic_messages.parse_count_tokens(json.dumps(CHAT | changes).encode())


def respond(**changes):
    body = {"model": "poetry", "input": "Rain?"} | changes
    return openai_responses.parse_response_request(json.dumps(body).encode())


def refusal(parse, **changes) -> errors.BadRequest:
    with pytest.raises(errors.BadRequest) as raised:
        parse(**changes)
    return raised.value


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (fields.CHAT, names_of(chat_create_params.CompletionCreateParamsBase) | VLLMS_CHAT),
        (fields.TEXT, names_of(completion_create_params.CompletionCreateParamsBase) | VLLMS_TEXT),
        (fields.RESPONSES, names_of(response_create_params.ResponseCreateParamsBase)),
        (fields.INPUT_TOKENS, names_of(input_token_count_params.InputTokenCountParams)),
        (fields.TOKENIZE, VLLMS_TOKENIZE),
        (fields.COUNT, names_of(message_count_tokens_params.MessageCountTokensParams)),
        (
            fields.MESSAGES,
            names_of(
                message_create_params.MessageCreateParamsBase,
                beta_message_create_params.MessageCreateParamsBase,
            ),
        ),
    ],
    ids=["chat", "text", "responses", "input tokens", "tokenize", "count", "messages"],
)
def test_every_field_of_the_clients_and_of_vllm_is_in_a_table(table, names):
    assert len(names) > 10
    assert names - table.keys() == set()


def test_the_docs_have_every_field():
    shown = DOCS.read_text().partition("## Fields\n")[2].strip()
    sections = []
    for path, table in endpoints.FORMS.items():
        sections.append(f"### `POST {path}`\n\n{describe_table(table)}")
    assert shown == "\n\n".join(sections)


def test_an_unknown_field_is_refused_by_name():
    error = refusal(parse, evil="x")
    assert (error.param, "`evil`" in error.message) == ("evil", True)
    assert len(refusal(parse, **{"x" * 5000: 1}).message) < 200
    for parse_form in (message, respond):
        assert parse_form()
        assert "`evil`" in refusal(parse_form, evil=1).message


@pytest.mark.parametrize("form", ["chat", "text"])
def test_a_refused_field_is_accepted_only_with_a_neutral_value(form):
    for name, field in requests.TABLES[form].items():
        if field.fate != "refused":
            continue
        assert f"`{name}`" in refusal(FORMS[form], **{name: {"some": "value"}}).message
        for value in (None, *field.neutral):
            assert name not in FORMS[form](**{name: value}).fields


@pytest.mark.parametrize("form", ["chat", "text"])
def test_a_served_field_is_served_to_its_bounds_and_an_ignored_one_never_reaches_the_engine(form):
    needs = {
        "top_logprobs": {"logprobs": True},
        "parallel_tool_calls": {"tools": [WEATHER], "tool_choice": "required"},
    }
    for name, field in requests.TABLES[form].items():
        for end in field.ends if field.fate == "served" else ():
            parsed = FORMS[form](**needs.get(name, {}) | {name: end})
            if name not in requests.GATEWAY_FIELDS:
                assert parsed.fields[name] == end
        if field.fate == "ignored":
            for value in field.ends or ("x",):
                assert name not in FORMS[form](**{name: value}).fields


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"stream": "true"}, "stream"),
        ({"stream": 1}, "stream"),
        # Without a stream, whatever they say: as vLLM's test_completion_stream_options has it.
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream_options": {"include_usage": None}}, "stream_options"),
        ({"stream_options": {"continuous_usage_stats": True}}, "stream_options"),
        ({"stream_options": {"continuous_usage_stats": None}}, "stream_options"),
        ({"stream": True, "stream_options": {"more": True}}, "stream_options"),
        ({"model": "x" * 300}, "model"),
        ({"min_tokens": 9, "max_tokens": 8}, "min_tokens"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"n": 129}, "n"),
        ({"ignore_eos": "yes"}, "ignore_eos"),
        ({"stop": "x" * 2000}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"usage": {"include": "yes"}}, "usage"),
        ({"usage": {"more": True}}, "usage"),
        ({"usage": True}, "usage"),
        ({"structured_outputs": {"regex": "a", "choice": ["a"]}}, "structured_outputs"),
        ({"structured_outputs": {"grammar": "root ::= x"}}, "structured_outputs"),
        ({"response_format": {"type": "json_object", "schema": SKY}}, "response_format"),
        ({"response_format": {"type": "text", "json_schema": {"name": "a"}}}, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SKY, "x": 1}}},
            "response_format",
        ),
        (
            {"structured_outputs": {"choice": ["a"]}, "response_format": {"type": "json_object"}},
            "structured_outputs",
        ),
    ],
)  # fmt: skip
def test_an_invalid_field_is_named(changes, param):
    assert refusal(parse, **changes).param == param


FORMS = {
    "chat": parse,
    "text": complete,
    "messages": message,
    "count": count,
    "responses": respond,
}
WOULD_CHANGE_THE_ANSWER = [
    ("thinking", "enabled"),
    ("context_management", {"edits": [{"type": "truncate_20991231"}]}),
    ("context_management", [{"type": "compaction", "compact_threshold": 1000}]),
    ("context_management", "auto"),
    ("chat_template_kwargs", {"enable_thinking": "always"}),
    ("chat_template_kwargs", {"continue_final_message": True}),
    ("chat_template_kwargs", {"tools": []}),
    ("chat_template_kwargs", "x"),
]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_takes_what_changes_no_answer_and_refuses_what_would(form):
    parse_form = FORMS[form]
    plain = parse_form().fields
    for name, field in fields.HARMLESS.items():
        for value in field.ends or (True, False, {"effort": "high"}):
            assert parse_form(**{name: value}).fields == plain, (name, value)
    for include in (True, False):
        assert parse_form(usage={"include": include}).fields == plain
    for name, value in WOULD_CHANGE_THE_ANSWER:
        error = refusal(parse_form, **{name: value})
        assert (error.param, f"`{name}" in error.message) == (name, True)


def test_a_variable_that_the_template_reads_is_not_set_by_a_request(settings, tmp_path):
    settings.BASE_MODEL_DIR = tmp_path
    (tmp_path / "chat_template.jinja").write_text("{% if enable_thinking %}<think>{% endif %}{{ messages }}")
    assert parse(chat_template_kwargs={"thinking": False})
    for switch in (
        {"enable_thinking": False},
        {"enable_thinking": True},
        {"thinking": False, "enable_thinking": False},
    ):
        error = refusal(parse, chat_template_kwargs=switch)
        assert "`chat_template_kwargs.enable_thinking`" in error.message


@pytest.mark.parametrize("form", ["chat", "text", "responses"])
def test_tool_uses_are_only_cleared_in_anthropics_form(form):
    edits = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    assert refusal(FORMS[form], context_management=edits).param == "context_management"


def test_biases_that_are_wrong_are_named(monkeypatch):
    """All of them, up to a few: as vLLM does."""
    monkeypatch.setattr(base_model, "vocabulary_size", lambda: 100)
    for bias, shown in [
        ({"1": 1, "rain": 2, "snow": 3}, "no token ids: `rain`, `snow`."),
        ({f"t{n}": 1 for n in range(6)}, "no token ids: `t0`, `t1`, `t2`, `t3`, `t4` …"),
        ({"1": 1, "7": 101, "8": True, "9": "much"}, "those of `7`, `8`, `9` are not"),
        ({"1": 1, "100": 2, "101": 3}, "below 100; out of vocabulary: `100`, `101`."),
    ]:
        error = refusal(parse, logit_bias=bias)
        assert (error.param, shown in error.message) == ("logit_bias", True), error.message


def test_what_the_table_says_of_a_stored_response_is_no_error():
    error = refusal(respond, previous_response_id="resp_1")
    assert error.message == (
        "`previous_response_id` is not supported: this workspace stores no responses: send the whole "
        "conversation in `input`, or turn storing on in the workspace's settings, where the service offers "
        "it."
    )


@pytest.fixture
def taught(settings, tmp_path):
    """The base model's chat template shows tools."""
    (tmp_path / "chat_template.jinja").write_text("{% if tools %}{{ tools }}{% endif %}")
    settings.BASE_MODEL_DIR = tmp_path


def other_tool(name):
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_allowed_tools_are_those_that_the_model_gets(mode, taught):
    tools = [other_tool("rain"), other_tool("snow"), other_tool("sun")]
    some = [{"type": "function", "function": {"name": name}} for name in ("rain", "sun")]
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": some}}
    chat = parse(tools=tools, tool_choice=choice).fields
    assert chat["tool_choice"] == mode
    assert [tool["function"]["name"] for tool in chat["tools"]] == ["rain", "sun"]
    flat_tools = [{"type": "function", "name": name, "parameters": {}} for name in ("rain", "snow", "sun")]
    flat = {"type": "allowed_tools", "mode": mode, "tools": [flat_tools[0], flat_tools[2]]}
    response = respond(tools=flat_tools, tool_choice=flat).fields
    assert [tool["function"]["name"] for tool in response["tools"]] == ["rain", "sun"]
    assert response["tool_choice"] == mode


@pytest.mark.parametrize(
    "allowed",
    [
        None,
        {"mode": "none", "tools": [other_tool("rain")]},
        {"mode": "auto", "tools": []},
        {"mode": "auto", "tools": ["rain"]},
        {"mode": "auto", "tools": [other_tool("hail")]},
        {"mode": "auto", "tools": [other_tool("rain")], "more": 1},
    ],
)
def test_allowed_tools_that_are_none_of_the_tools_are_refused(allowed):
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    assert refusal(parse, tools=[other_tool("rain")], tool_choice=choice).param == "tool_choice"


@pytest.mark.parametrize("parse_form", [parse, complete])
def test_a_stream_reports_usage_as_it_is_asked_to(parse_form):
    def told(**more):
        parsed = parse_form(stream=True, **more)
        return parsed.include_usage, parsed.running_usage

    guidellms = {"include_usage": True, "continuous_usage_stats": True}
    assert told(stream_options=guidellms) == (True, True)
    assert told(stream_options={"continuous_usage_stats": True}) == (False, True)
    without = {"include_usage": False, "continuous_usage_stats": True}
    assert told(stream_options=without) == (False, False)
    assert told(usage={"include": True}) == (True, False)  # OpenRouter's name
    assert told(usage={"include": False}, stream_options={"include_usage": True}) == (True, False)
    assert told(stream_options={}) == (False, False)
    assert told() == (False, False)


@pytest.mark.parametrize("value", [-(2**63) - 1, 2**63, 2**64, 10**30, -(10**30)])
def test_a_number_beyond_64_bits_is_told_its_bounds(value):
    error = refusal(parse, seed=value)
    assert error.message == "`seed` must be between -9223372036854775808 and 9223372036854775807."
    for name in ("max_tokens", "max_completion_tokens"):
        assert refusal(parse, **{name: value}).message == (
            f"`{name}` must be between 1 and 9223372036854775807."
        )


def test_a_response_has_no_running_usage():
    assert respond(stream=True, stream_options={"continuous_usage_stats": False})
    error = refusal(respond, stream=True, stream_options={"continuous_usage_stats": True})
    assert "response.completed" in error.message


def test_editors_may_send_16_stops():
    stops = ["<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|im_end|>",
             "/src/", "#- coding: utf-8", "```", "\nfunction", "\nclass"]  # fmt: skip
    for form in ("chat", "text", "responses"):
        assert FORMS[form](stop=stops).fields["stop"] == stops
    assert message(stop_sequences=stops).fields["stop"] == stops


def test_a_completion_without_a_length_has_16_tokens():
    assert complete().output_tokens == 16
    assert complete(max_tokens=40).output_tokens == 40
    assert parse().output_tokens == 0  # a chat's: the plan's longest answer


def test_sequences_are_prompts_times_choices():
    assert complete(prompt=["a", "b"], n=3).choices == 6
    assert complete(prompt=[[1, 2], [3]], n=2).choices == 4
    assert complete(prompt=[1, 2, 3]).choices == 1
    assert refusal(complete, prompt=["a"] * 16, n=16).param == "n"


def test_a_prompt_is_a_text_or_a_list():
    for wrong in (1, True, {}, "", [], [""], [1.5]):
        assert refusal(complete, prompt=wrong).param == "prompt"


def test_token_ids_are_of_the_vocabulary(monkeypatch):
    monkeypatch.setattr(base_model, "vocabulary_size", lambda: 100)
    assert complete(prompt=[0, 99]).fields["prompt"] == [0, 99]
    assert parse(stop_token_ids=[99], logit_bias={"99": 1})
    assert refusal(complete, prompt=[100]).param == "prompt"
    assert refusal(complete, prompt=[[1], [-1]]).param == "prompt"
    assert refusal(complete, prompt=["a", [1]]).param == "prompt"
    assert refusal(complete, prompt=[[]]).param == "prompt"
    assert refusal(parse, stop_token_ids=[100]).param == "stop_token_ids"
    assert refusal(parse, logit_bias={"100": 1}).param == "logit_bias"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": "x", "uuid": "u", "image_url": "http://127.0.0.1/secret"},
        {"type": "text", "text": "x", "image_url": {"url": "http://127.0.0.1/secret"}},
        {"type": "image_url", "image_url": {"url": "http://127.0.0.1/secret"}},
        {"type": "refusal", "refusal": "x", "audio_url": "http://127.0.0.1/secret"},
        {"text": "x"},
        "x",
    ],
)
def test_a_part_of_content_is_text_and_nothing_else(part):
    assert refusal(parse, messages=[{"role": "user", "content": [part]}]).param == "messages"


def test_messages_are_rebuilt(taught):
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
    sent = [
        {"role": "user", "content": [{"type": "text", "text": "A", "cache_control": {"type": "x"}},
                                     {"type": "text", "text": ""},
                                     {"type": "refusal", "refusal": "B"}], "name": "ada"},
        {"role": "assistant", "content": None, "refusal": None, "annotations": [], "audio": None,
         "function_call": None, "reasoning": "Hm.", "tool_calls": [call | {"index": 0}]},
        {"role": "tool", "content": [{"type": "text", "text": "Sun"}], "tool_call_id": "c"},
        {"role": "assistant", "content": None, "refusal": "No."},
    ]  # fmt: skip
    assert parse(messages=sent).fields["messages"] == [
        {"role": "user", "content": "A\nB", "name": "ada"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "Sun", "tool_call_id": "c"},
        {"role": "assistant", "content": "No."},
    ]
    for more in ({"mm_data": {}}, {"image_url": "http://x"}, {"audio": {"id": "a"}}, {"task": "x"}):
        assert refusal(parse, messages=[{"role": "user", "content": "x"} | more]).param == "messages"


@pytest.mark.parametrize("arguments", ['{"a":' * 33 + "1" + "}" * 33, '{"a":' + "[" * 33 + "]" * 33 + "}"])
def test_deeply_nested_tool_arguments_are_refused(taught, arguments):
    def called(arguments):
        function = {"name": "weather", "arguments": arguments}
        return [{"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": function}]}]

    assert refusal(parse, messages=called(arguments)).param == "messages"
    broken = parse(messages=called("[" * 100_000)).fields["messages"][0]
    assert broken["tool_calls"][0]["function"]["arguments"] == "{}"  # the engine reads invalid JSON so


def test_tools_and_arguments_that_a_tokenizer_would_read_for_long_are_refused():
    def tool(size):
        return WEATHER | {"function": {"name": "weather", "description": "x" * size}}

    def called(size):
        call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "x" * size}}
        return {"role": "assistant", "tool_calls": [call]}

    assert parse(tools=[tool(250 * 1024)], tool_choice="none")
    assert refusal(parse, tools=[tool(256 * 1024)], tool_choice="none").param == "tools"
    assert parse(messages=[called(256 * 1024)] * 2)
    assert refusal(parse, messages=[*[called(256 * 1024)] * 2, called(1)]).param == "messages"


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_a_tool_that_must_be_called_is_strict_whatever_it_says(choice):
    parsed = parse(tools=[WEATHER], tool_choice=choice)
    assert parsed.unmarkable == "structured"
    loose = WEATHER | {"function": WEATHER["function"] | {"strict": False}}
    for tool in (WEATHER, loose):
        [rebuilt] = parse(tools=[tool], tool_choice=choice).fields["tools"]
        assert rebuilt["function"]["strict"] is True


def test_tools_are_rebuilt():
    more = WEATHER | {"defer_loading": True}
    assert refusal(parse, tools=[more], tool_choice="none").param == "tools"
    for wrong in ({"name": "a b"}, {"name": ""}, {"parameters": []}, {"mm": 1}):
        tool = WEATHER | {"function": WEATHER["function"] | wrong}
        assert refusal(parse, tools=[tool], tool_choice="none").param == "tools"
    for choice in ("any", {"type": "function", "function": {"name": "other"}}, {"type": "allowed_tools"}):
        assert refusal(parse, tools=[WEATHER], tool_choice=choice).param == "tool_choice"
    assert "tool_choice" not in parse(tool_choice="auto").fields
    assert refusal(parse, tool_choice="required").param == "tool_choice"


NO_ARGUMENTS = {"type": "object", "properties": {}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("parameters", "followed"),
    [
        (None, NO_ARGUMENTS),
        ({}, NO_ARGUMENTS),
        ({"type": "object", "description": "none"}, NO_ARGUMENTS),
        ({"properties": {"city": {}}}, {"type": "object", "properties": {"city": {}}}),
        ({"type": "object", "additionalProperties": True}, {"type": "object", "additionalProperties": True}),
    ],
)
def test_arguments_that_must_be_followed_are_an_object(parameters, followed):
    tool = {"type": "function", "function": {"name": "now", "parameters": parameters}}
    [rebuilt] = parse(tools=[tool], tool_choice="required").fields["tools"]
    assert rebuilt["function"]["parameters"] == followed
    [as_it_was] = parse(tools=[tool], tool_choice="none").fields["tools"]
    assert as_it_was["function"].get("parameters") == parameters


@pytest.fixture
def untaught(settings, tmp_path):
    """The base model's chat template shows no tools."""
    settings.BASE_MODEL_DIR = tmp_path
    (tmp_path / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m.role + m.content }}{% endfor %}"
    )


LOOSE = {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "not": {}}}}


@pytest.mark.parametrize("changes", [{"tool_choice": "auto"}, {}, {"parallel_tool_calls": True}])
def test_auto_calls_nothing_where_the_template_shows_no_tools(untaught, changes):
    parsed = parse(tools=[WEATHER, LOOSE], **changes)
    assert parsed.drops_tools
    assert parsed.unmarkable == ""
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & parsed.fields.keys()


def test_what_must_be_called_or_must_not_is_as_ever_where_the_template_shows_no_tools(untaught):
    for choice in ("required", "none"):
        parsed = parse(tools=[WEATHER], tool_choice=choice)
        assert (parsed.drops_tools, parsed.fields["tool_choice"]) == (False, choice)
    assert not parse().drops_tools
    assert refusal(parse, tools=[{"type": "web_search"}]).param == "tools"


def test_an_operator_may_have_auto_refused_where_the_template_shows_no_tools(untaught, settings):
    settings.API_AUTO_TOOL_CHOICE = "refuse"
    for changes in ({"tool_choice": "auto"}, {}):
        assert refusal(parse, tools=[WEATHER], **changes).param == "tool_choice"
    assert parse(tools=[WEATHER], tool_choice="required")
    assert parse(tools=[WEATHER], tool_choice="none")


def test_a_model_whose_template_shows_tools_may_choose(taught):
    parsed = parse(tools=[WEATHER])
    assert (parsed.fields["tool_choice"], parsed.drops_tools) == ("auto", False)


def test_errors_repeat_little_of_the_request():
    much = "x" * 5000
    wrong = [
        {"model": much}, {much: 1}, {"stop": [much]}, {"messages": [{"role": much}]},
        {"messages": [{"role": "user", "content": "a", much: 1}]}, {"temperature": much},
        {"messages": [{"role": "user", "content": [{"type": much}]}]}, {"response_format": {"type": much}},
        {"tools": [{"type": much}]}, {"tool_choice": much}, {"stream_options": {much: 1}, "stream": True},
        {"structured_outputs": {much: 1}}, {"structured_outputs": {"regex": much}},
        {"structured_outputs": {"json": {"type": much}}}, {"logit_bias": {much: 1}},
    ]  # fmt: skip
    for changes in wrong:
        error = refusal(parse, **changes)
        assert "x" * 200 not in error.message + str(error.facts)


class City(pydantic.BaseModel):
    city: str


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # the client's own
def test_what_the_client_parsed_can_be_sent_back(taught):
    """With the client's own keys beside those of the API: it writes them into the next request."""
    said = {"id": "c", "object": "chat.completion", "created": 1, "model": "poetry"}
    call = {"id": "1", "type": "function", "function": {"name": "City", "arguments": '{"city":"Rome"}'}}
    sent = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(json.loads(request.content))
        choice = {"index": 0, "finish_reason": "stop", "message": messages[len(sent) - 1]}
        return httpx2.Response(200, json=said | {"choices": [choice]})

    messages = [
        {"role": "assistant", "content": '{"city":"Rome"}'},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "assistant", "content": "Done."},
    ]
    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = openai.OpenAI(api_key="x", base_url="http://gateway/v1", http_client=http)
    told = [{"role": "user", "content": "Where?"}]
    for options in ({"response_format": City}, {"tools": [openai.pydantic_function_tool(City)]}, {}):
        reply = client.chat.completions.parse(model="poetry", messages=told, **options)
        told.append(reply.choices[0].message)
    text = {"type": "text", "text": "And?", "prompt_cache_breakpoint": {"mode": "explicit"}}
    rebuilt = parse(messages=[*sent[-1]["messages"], {"role": "user", "content": [text]}]).fields["messages"]
    assert "parsed" in sent[-1]["messages"][1]
    assert [message["content"] for message in rebuilt] == ["Where?", '{"city":"Rome"}', None, "And?"]
    assert rebuilt[2]["tool_calls"] == [call]
