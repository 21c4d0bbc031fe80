"""What grammars may cost in the engine, with vLLM's llguidance: extensions/polyscribe_grammars.py."""

import json

import pytest

from engine import serve
from inference.contract.field_checks import MAX_STOP_CHARACTERS
from tests.engine.engine_python import CPU, ENGINE_PYTHON

MODEL = serve.read_settings(CPU).base_model_dir
pytestmark = pytest.mark.skipif(
    not (ENGINE_PYTHON.exists() and (MODEL / "tokenizer.json").exists()),
    reason="vLLM or the base model is not installed here",
)
SETUP = """
import json
import sys
from types import SimpleNamespace

import numpy as np
import polyscribe_grammars as module
import torch
from transformers import AutoTokenizer
from vllm.v1.structured_output.backend_types import StructuredOutputOptions

EOS = 2
TOKENIZER = AutoTokenizer.from_pretrained(sys.argv[1])
OPTIONS = SimpleNamespace(disable_any_whitespace=False, disable_additional_properties=False)
BACKEND = module.BoundedBackend(SimpleNamespace(structured_outputs_config=OPTIONS), TOKENIZER, len(TOKENIZER))


def begin(kind, text):
    return BACKEND.compile_grammar(StructuredOutputOptions[kind], text, {EOS})


def write(grammar, most=200):
    '''Take a token from the middle of those that may follow, again and again; return how many were taken.'''
    mask = torch.zeros((1, (len(TOKENIZER) + 31) // 32), dtype=torch.int32)
    for count in range(most):
        grammar.fill_bitmask(mask, 0)
        if grammar.failure or grammar.is_terminated():
            return count
        allowed = np.flatnonzero(np.unpackbits(mask.numpy().view(np.uint8), bitorder="little"))
        grammar.accept_tokens("r", [EOS if EOS in allowed else int(allowed[len(allowed) // 2])])
    return most


def name(failure):
    return failure.removeprefix("polyscribe:").rstrip(".") or "none"


def allows(grammar, text):
    tokens = TOKENIZER.encode(text)
    return grammar.ll_matcher.validate_tokens(tokens) == len(tokens)

"""
TEXT = {"type": "string"}
PERSON = json.dumps(
    {
        "type": "object",
        "properties": {"name": TEXT, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }
)
LARGE = json.dumps(
    {
        "anyOf": [
            {"type": "array", "items": {"type": "integer", "maximum": 10**6 + i}, "maxItems": 900}
            for i in range(100)
        ]
    }
)
DOUBLING = "((((((((((a{2}){2}){2}){2}){2}){2}){2}){2}){2}){2}){99}"


@pytest.fixture
def ask(vllm_process):
    """Return the function that runs a program after SETUP and returns the words that it prints."""
    return lambda code, *arguments: vllm_process.ask(SETUP + code, str(MODEL), *arguments).split()


def test_ordinary_grammars_are_followed_to_their_end(ask):
    code = """
for kind, text, most in json.loads(sys.argv[2]):
    grammar = begin(kind, text)
    print(write(grammar, most), grammar.is_terminated(), name(grammar.failure))
"""
    cases = [("JSON", PERSON, 40), ("CHOICE", '["yes", "no"]', 10), ("GRAMMAR", 'root ::= "a"', 10)]
    words = ask(code, json.dumps(cases))
    assert words[:3] == ["40", "False", "none"]
    assert words[4:6] == words[7:9] == ["True", "none"]


@pytest.mark.parametrize(("kind", "text"), [("JSON", LARGE), ("REGEX", ".?" * 100)])
def test_a_grammar_that_is_too_large_is_not_compiled(ask, kind, text):
    code = "print(name(begin(*sys.argv[2:]).failure))"
    assert ask(code, kind, text) == ["grammar_too_expensive"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("REGEX", "("),
        ("JSON", "{"),
        ("JSON", '{"$ref": "#/$defs/none"}'),
        ("STRUCTURAL_TAG", "{}"),
        ("GRAMMAR", 'roof ::= "a"'),
        ("REGEX", "[^\\s\\S]"),
        ("REGEX", "a[^\\s\\S]"),
    ],
)
def test_what_is_no_grammar_or_matches_nothing_is_invalid(ask, kind, text):
    code = """
grammar = begin(*sys.argv[2:])
if not grammar.failure:
    write(grammar)
print(name(grammar.failure))
"""
    assert ask(code, kind, text) == ["invalid_grammar"]


def test_an_expensive_step_ends_its_own_sequence_and_no_other(ask):
    code = """
import time
cheap, expensive = begin("JSON", sys.argv[2]), begin("REGEX", sys.argv[3])
began_s = time.thread_time()
write(expensive)
print(name(expensive.failure), time.thread_time() - began_s < 2)
print(write(cheap, 40), name(cheap.failure))
"""
    assert ask(code, PERSON, DOUBLING) == ["grammar_too_expensive", "True", "40", "none"]


def test_what_a_sequence_may_take_grows_with_its_tokens(ask):
    code = """
module.FOLLOW_TOKEN_S = float(sys.argv[3])
grammar = begin("JSON", sys.argv[2])
grammar.left_s = float(sys.argv[4])
print(write(grammar, 3000), name(grammar.failure))
"""
    # A fast machine needs some 20 ms for all of them.
    written, failure = ask(code, PERSON, "0", "0.002")
    assert (int(written) < 3000, failure) == (True, "grammar_too_expensive")
    assert ask(code, PERSON, "0.01", "0.02") == ["3000", "none"]


def test_after_the_end_only_an_end_may_follow(ask):
    """As the token that `min_tokens` leaves, which vLLM would let through."""
    code = """
for tokens in ([EOS], TOKENIZER.encode("b")):
    grammar = begin("REGEX", "a{3}")
    grammar.accept_tokens("r", TOKENIZER.encode("aaa"))
    grammar.accept_tokens("r", tokens)
    print(name(grammar.failure))
wrong = begin("REGEX", "a{3}")
print(wrong.accept_tokens("r", [EOS]), name(wrong.failure))
"""
    assert ask(code) == ["none", "invalid_grammar", "True", "invalid_grammar"]


CALL = """
from xgrammar.structural_tag import (
    JSONSchemaFormat, StructuralTag, TagFormat, TagsWithSeparatorFormat, TriggeredTagsFormat,
)
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def tag(function, **facts):
    content = JSONSchemaFormat(json_schema=SCHEMA, max_whitespace_cnt=1, **facts)
    begin = '<tool_call>\\n{"name": "%s", "arguments": ' % function
    return TagFormat(begin=begin, content=content, end="}\\n</tool_call>")


def written(form):
    return begin("STRUCTURAL_TAG", json.dumps(StructuralTag(format=form).model_dump()))


def call(function, arguments):
    return '<tool_call>\\n{"name": "%s", "arguments": %s}\\n</tool_call>' % (function, arguments)


OSLO = call("weather", '{"city": "Oslo"}')
TAGS = [tag("weather"), tag("week")]
"""


def test_a_forced_call_is_a_call_with_few_blanks(ask):
    code = """
for most in (True, False):
    form = TagsWithSeparatorFormat(tags=TAGS, separator="", at_least_one=True, stop_after_first=most)
    texts = (OSLO, OSLO + OSLO, "Hi " + OSLO, call("weather", '{"city":  "Oslo"}'), call("wind", "{}"))
    print(*(allows(written(form), text) for text in texts))
"""
    assert ask(CALL + code) == ["True", *["False"] * 4, "True", "True", *["False"] * 3]


def test_a_call_may_stand_in_text_and_follows_its_schema_there(ask):
    code = """
form = TriggeredTagsFormat(triggers=["<tool_call>"], tags=TAGS)
texts = ("Hi.", OSLO, "Hi " + OSLO + " and " + OSLO + ".", "Hi " + call("weather", '{"town": 1}'))
print(*(allows(written(form), text) for text in texts))
"""
    assert ask(CALL + code) == ["True", "True", "True", "False"]


def test_arguments_that_are_no_json_are_no_grammar(ask):
    code = """
form = TagsWithSeparatorFormat(tags=[tag("weather", style="qwen_xml")], separator="", at_least_one=True)
print(name(written(form).failure))
"""
    assert ask(CALL + code) == ["invalid_grammar"]


def test_a_schema_gives_no_orders_to_the_library(ask):
    code = """
schema = {"type": "object", "properties": {"a": {"format": "none"}}, "x-guidance": {"lenient": True}}
print(name(begin("JSON", json.dumps(schema)).failure))
one_of = begin("JSON", '{"oneOf": [{"type": "integer"}, {"type": "number"}]}')
print(name(one_of.failure), allows(one_of, "1.5"))
"""
    assert ask(code) == ["invalid_grammar", "none", "True"]


def test_an_object_has_the_properties_that_its_schema_names(ask):
    code = """
closed = {"type": "object", "properties": {"a": {"type": "integer"}}}
for schema in (closed, closed | {"additionalProperties": True}, {"type": "object"}):
    print(allows(begin("JSON", json.dumps(schema)), '{"a": 1, "b": 2}'))
"""
    assert ask(code) == ["False", "True", "True"]


def test_a_request_whose_grammar_failed_ends_without_the_token_and_says_why(ask):
    code = """
from vllm.v1.core.sched.scheduler import Scheduler

module.install()
request = SimpleNamespace(structured_output_request=SimpleNamespace(grammar=begin("REGEX", "(")))
print(Scheduler._update_request_with_output(None, request, [7]) == ([], True), name(request.stop_reason))
"""
    assert ask(code) == ["True", "invalid_grammar"]


def test_no_client_can_pretend_a_failure(ask):
    lengths = ask("print(len(module.TOO_EXPENSIVE), len(module.INVALID_GRAMMAR))")
    assert all(int(length) > MAX_STOP_CHARACTERS for length in lengths)


LOADS_PLUGINS = """
from vllm.plugins import load_general_plugins
load_general_plugins()
from vllm.v1 import structured_output
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.structured_output import backend_guidance
for item in (
    structured_output.GuidanceBackend, backend_guidance.validate_guidance_grammar,
    Scheduler._update_request_with_output,
):
    print(item.__module__)
"""


def test_vllm_loads_the_plugin_in_each_of_its_processes(vllm_process):
    assert vllm_process.ask(LOADS_PLUGINS).split() == ["polyscribe_grammars"] * 3
