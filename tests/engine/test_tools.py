"""Forced and cut tool calls with engine/extensions/polyscribe_tools.py, in vLLM's own Python."""

import json
from pathlib import Path

import pytest

from engine import serve
from tests.engine.engine_python import CPU, option

TRIAL = """
import json
from types import SimpleNamespace

import polyscribe_tools
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.tool_parsers import ToolParser, ToolParserManager

CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "function": {"name": "weather", "strict": True, "parameters": CITY}}
WEEK = {"type": "function", "function": {"name": "week", "strict": False, "parameters": CITY}}
TEXT = 'Well.<tool_call>\\n{"name": "weather", "arguments": {"city": "Oslo"}}\\n</tool_call>'
ALONE = TEXT.removeprefix("Well.")
BOTH = ALONE + ALONE.replace("weather", "week")
NAMED = {"type": "function", "function": {"name": "weather"}}


def request(choice, *tools):
    return ChatCompletionRequest(model="m", messages=[], tools=list(tools), tool_choice=choice)


def parser(name="polyscribe"):
    return ToolParserManager.get_tool_parser(name)(SimpleNamespace())


def whole(text, asked):
    found = parser().extract_tool_calls(text, asked)
    return found.content or "", [[call.function.name, call.function.arguments] for call in found.tool_calls]


def streamed(text, asked):
    reader, content, calls = parser(), "", []
    for end in range(1, len(text) + 1):
        delta = reader.extract_tool_calls_streaming(
            text[: end - 1], text[:end], text[end - 1 : end], [], [], [], asked
        )
        if delta is None:
            continue
        content += delta.content or ""
        for call in delta.tool_calls:
            if call.function.name:
                calls.append([call.function.name, ""])
            calls[call.index][1] += call.function.arguments or ""
    if calls:
        calls[-1][1] += reader.get_remaining_unstreamed_args()
    return content, calls


def cuts(text, asked):
    texts = [text[:end] for end in range(1, len(text))]
    return [[text, *whole(text, asked), *streamed(text, asked)] for text in texts]


def formats(tag):
    pending, found = [tag.model_dump()], []
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if node.get("type") == "json_schema":
                found.append([node["json_schema"], node["max_whitespace_cnt"]])
            else:
                pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
    return found


tagless = polyscribe_tools.correct(ToolParser)(SimpleNamespace())
without_tags = tagless.adjust_request(request("required", WEATHER))
print(json.dumps({
    "named": formats(parser().get_structural_tag(request(NAMED, WEATHER, WEEK))),
    "required": formats(parser().get_structural_tag(request("required", WEATHER, WEEK))),
    "auto": formats(parser().get_structural_tag(request("auto", WEATHER))),
    "without_tags": json.loads(without_tags.structured_outputs.structural_tag)["format"],
    "only": cuts(ALONE, request("required", WEATHER)),
    "named cut": cuts(ALONE, request(NAMED, WEATHER, WEEK)),
    "both": cuts(BOTH, request("required", WEATHER, WEEK)),
    "chosen": cuts(TEXT, request("auto", WEATHER, WEEK)),
    "whole": whole(BOTH, request("required", WEATHER, WEEK)),
    "words": whole("Well, <b>", request("auto", WEATHER)),
}))
"""


@pytest.fixture(scope="module")
def found(vllm_process) -> dict:
    return json.loads(vllm_process.ask(TRIAL).splitlines()[-1])


@pytest.mark.parametrize("choice", ["named", "required", "auto"])
def test_blanks_of_arguments_are_bounded_and_arguments_are_an_object(found, choice):
    assert found[choice]
    for schema, max_blanks in found[choice]:
        assert (schema["type"], max_blanks) == ("object", 1)


def test_blanks_are_bounded_where_vllm_has_no_tag_for_a_format(found):
    assert found["without_tags"]["type"] == "json_schema"
    assert found["without_tags"]["max_whitespace_cnt"] == 1


@pytest.mark.parametrize("case", ["only", "named cut", "both", "chosen"])
def test_wherever_the_limit_cuts_it_is_no_text_and_a_stream_has_the_same(found, case):
    for text, content, calls, streamed_content, streamed_calls in found[case]:
        assert "<tool_call>" not in content + streamed_content
        assert [name for name, _ in calls] == [name for name, _ in streamed_calls], text
        for (_, whole), (_, streamed) in zip(calls, streamed_calls, strict=True):
            assert whole.replace(" ", "") == streamed.replace(" ", ""), text


@pytest.mark.parametrize("case", ["only", "named cut"])
def test_a_call_of_the_only_function_is_there_from_the_first_token_on(found, case):
    for _, content, calls, *_ in found[case]:
        assert content == ""
        [(name, arguments)] = calls
        assert name == "weather"
        assert '{"city": "Oslo"}'.startswith(arguments)


def test_of_several_functions_one_is_named_as_soon_as_no_other_can_be_meant(found):
    named = [text for text, _, calls, *_ in found["both"] if calls]
    assert named[0].endswith('"name": "wea')  # `we` may become `week`
    assert all(len(calls) == 2 for text, _, calls, *_ in found["both"] if text.endswith('"week'))


def test_a_function_that_the_model_chose_is_named_once_its_name_is_whole(found):
    named = [text for text, _, calls, *_ in found["chosen"] if calls]
    assert named[0].endswith('"name": "weather"')
    assert {content for text, content, *_ in found["chosen"] if "<tool_call>" in text} == {"Well."}


def test_whole_calls_and_words_are_as_vllm_gives_them(found):
    arguments = '{"city": "Oslo"}'
    assert found["whole"] == ["", [["weather", arguments], ["week", arguments]]]
    assert found["words"] == ["Well, <b>", []]


def test_vllm_is_started_with_the_parser_around_the_one_that_is_set():
    settings = serve.read_settings(CPU | {"ENGINE_TOOL_CALL_PARSER": "llama3_json"})
    arguments = serve.server_arguments(settings)
    assert option(arguments, "--tool-call-parser") == serve.TOOL_PARSER
    plugin = option(arguments, "--tool-parser-plugin")
    environment = serve.engine_environment(settings)
    assert environment["ENGINE_TOOL_CALL_PARSER"] == "llama3_json"
    assert (Path(environment["PYTHONPATH"]) / f"{plugin}.py").exists()
