"""Of what the engine says no word reaches a client: not of its errors, in no dialect, whole or streamed."""

import json
import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference import errors
from inference.contract.dialects import anthropic_messages
from inference.contract.requests import TABLES
from inference.proxy.vllm import TEMPLATE_REFUSALS, read_refusal, refusal
from tests.inference.builders import SHORT_WAITS, place, route_of
from tests.inference.fakes import chat, parse_chat
from tests.profiles import examples

ROUTE = route_of("acme/noir", places=[place("engine", "http://e", lora="v_secret")])
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
# vLLM 0.32's own, from its source: each kind of sentence with the names, values and paths that it puts in;
# the field that its answer names; what the client sent; the class and the `param` of what the client gets.
KINDS = [
    ("top_k must be 0 (disable), or at least 1, got -7. (parameter=top_k, value=-7)", "top_k", {"top_k": 1},
     errors.BadRequest, "top_k"),
    ("temperature must be in [0, 2], got 3.0.", None, {"temperature": 1}, errors.BadRequest, "temperature"),
    ("1 validation error:\n  {'type': 'int_parsing', 'loc': ('body', 'seed'), 'msg': 'Input should be'}",
     "body.seed", {"seed": 1}, errors.BadRequest, "seed"),
    ("token_id(s) [99999] in logit_bias contain out-of-vocab token ids. Vocabulary size: 49152", "logit_bias",
     {"logit_bias": {"5": 1}}, errors.BadRequest, "logit_bias"),
    ("n must be 1 when using greedy sampling, got 2.", None, {"n": 2}, errors.BadRequest, "n"),
    ("n must be at most 16, got 128. To increase this limit, set the VLLM_MAX_N_SEQUENCES environment "
     "variable.", None, {"n": 2}, errors.BadRequest, "n"),
    ("stop strings are only supported when detokenize is True.", None, {"stop": "a"}, errors.EngineRefusal,
     None),
    ("This model's maximum context length is 2048 tokens. However, you requested 9 output tokens (v_secret)",
     "input_tokens", {}, errors.ContextTooLong, "messages"),
    ("The decoder prompt (length 3000) is longer than the maximum model length of 2048. Make sure that "
     "`max_model_len` is no smaller.", None, {}, errors.ContextTooLong, "messages"),
    ("Failed to convert the grammar from xgrammar.Grammar at /opt/vllm/xgr.py: RuntimeError [12:00] "
     "/project/cpp/json_schema_converter.cc:423", None, {"response_format": SCHEMA}, errors.RefusedGrammar,
     "response_format"),
    ("Invalid JSON grammar specification.", "response_format", {"response_format": SCHEMA},
     errors.RefusedGrammar, "response_format"),
    ("Regex compilation timed out after 5s. The pattern may be too complex. Pattern: (a|b)*", None,
     {"structured_outputs": {"regex": "a"}}, errors.RefusedGrammar, "structured_outputs"),
    ("structured outputs needs regexes that can match without needing tokenizer_mode='hf' instead", None,
     {"structured_outputs": {"regex": "a"}}, errors.RefusedGrammar, "structured_outputs"),
    ("Tool choice 'function' not found in 'tools' parameter.", "tool_choice.function.name",
     {"tools": [TOOL], "tool_choice": "required"}, errors.RefusedGrammar, "tool_choice"),
    ('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', None,
     {"tools": [TOOL], "tool_choice": "none"}, errors.RefusedGrammar, "tools"),
    ("Conversation roles must alternate user/assistant/user/assistant/... (TemplateError)", None, {},
     errors.BadRequest, "messages"),
    ("System role not supported", None, {}, errors.BadRequest, "messages"),
    ("You must set `--enable-mm-embeds` to input `image_embeds`", "image_embeds", {}, errors.EngineRefusal,
     None),
    ("Out of range float values are not JSON compliant: nan", None, {}, errors.EngineRefusal, None),
    ("'NoneType' object has no attribute 'prompt_token_ids'", None, {}, errors.EngineRefusal, None),
    ("Expecting value: line 1 column 1 (char 0)", None, {}, errors.EngineRefusal, None),
    ("[Errno 2] No such file or directory: <path>adapter_config.json", None, {}, errors.EngineRefusal, None),
    ("Message: top_p must be in (0, 1], got 0.0. (Request ID: 12-34) ray.exceptions.RayTaskError", None,
     {"top_p": 0.5}, errors.BadRequest, "top_p"),
    ("", None, {}, errors.EngineRefusal, None),
]  # fmt: skip


def body_of(message, param=None, status=400):
    error = {"message": message, "type": "BadRequestError", "param": param, "code": status}
    return json.dumps({"error": error}).encode()


def phrases(text):
    """The text's runs of four words, which nobody writes by chance."""
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[at : at + 4]) for at in range(len(words) - 3)}


@pytest.mark.parametrize(("message", "param", "fields", "kind", "told"), KINDS)
def test_every_kind_of_refusal_is_told_in_our_words(message, param, fields, kind, told):
    error = read_refusal(body_of(message, param), parse_chat(**fields), ROUTE)
    assert (type(error), getattr(error, "param", None)) == (kind, told)
    assert not phrases(message) & phrases(error.message)
    assert not re.search(r"vllm|xgrammar|ray|[A-Z_]{8,}|/\w+/|v_secret|Error", error.message)
    if told:
        assert error.message != errors.EngineRefusal().message


def test_a_field_has_the_name_of_the_clients_dialect():
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    sent = json.dumps(body | {"stop_sequences": ["a"]}).encode()
    error = read_refusal(body_of("", "stop"), anthropic_messages.parse_messages(sent), ROUTE)
    assert (error.param, "`stop_sequences`" in error.message) == ("stop_sequences", True)


OURS = {
    errors.EngineRefusal().message,
    errors.RefusedGrammar().message,
    errors.UnservableInput().message,
    errors.RequestFailed().message,
    errors.EngineRefuses().message,
    errors.EngineBroke().message,
    errors.AdapterAbsent().message,
    errors.EngineDied(minutes=5).message,
    errors.ContextTooLong(max_model_len=2048).message,
    *(sentence.format(messages="messages") for _, sentence in TEMPLATE_REFUSALS),
    *(
        f"The model server rejected `{name}`. Accepted: {field.says}."
        for name, field in TABLES["chat"].items()
    ),
}
WORDS = [
    *(name for name in TABLES["chat"] if TABLES["chat"][name].fate == "served"),
    *" ".join(message for message, *_ in KINDS).split(),
    "EngineDeadError", "/srv/models/base", "vllm.v1.engine", "\x00", "{", "}", '"', "\\", "😀",
]  # fmt: skip
EVERYTHING = parse_chat(
    temperature=1, top_k=1, n=2, stop=["a"], seed=1, response_format=SCHEMA, max_tokens=5, user="ada"
)
texts = st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=12).map(" ".join)
STATUSES = [300, 400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 501, 502, 503, 504, 599]


@given(status=st.sampled_from(STATUSES), message=texts, param=st.none() | st.sampled_from(WORDS))
@settings(max_examples=examples(500))
def test_whatever_the_engine_says_a_client_reads_one_of_our_sentences(status, message, param):
    error = refusal(status, body_of(message, param, status), EVERYTHING, ROUTE)
    assert error.message in OURS
    assert getattr(error, "param", None) in {None, "messages", *EVERYTHING.fields}


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"error": null}', b'{"error": "x"}', b"Traceback", b"\xff"]
)
def test_an_answer_that_is_no_error_is_one_all_the_same(body):
    assert type(refusal(400, body, EVERYTHING, ROUTE)) is errors.EngineRefusal


SECRETS = (
    "RuntimeError in vllm.v1.engine.core at /opt/venv/lib/xgrammar/compiler.py: LoRA v_secret, EngineWord"
)
BODIES = {
    "/v1/chat/completions": chat(top_k=1),
    "/v1/messages": chat(max_tokens=20, top_k=1),
    "/v1/responses": {"model": "poetry", "input": "Rain?", "top_k": 1},
}
FORBIDDEN = re.compile(rb"runtimeerror|vllm|/opt|xgrammar|v_secret|engineword|compiler", re.IGNORECASE)
MANNERS = ["whole", "refused stream", "first event", "later event"]


@pytest.mark.proxy_settings(**SHORT_WAITS | {"engine_wait_s": 0.1, "adapter_absent_s": 0.001})
@pytest.mark.parametrize(("path", "manner"), [*product(BODIES, MANNERS)])
async def test_no_dialect_shows_the_engines_words(client, engine, account, path, manner):
    account.limit(requests_per_minute=10_000, tokens_per_minute=10**9)
    for status, param in product((400, 404, 422, 429, 500, 501, 503), (None, "top_k")):
        error = {"error": {"message": SECRETS, "type": "x", "param": param, "code": status}}
        in_event = manner.endswith("event")
        engine.refuses = None if in_event else (status, SECRETS)
        engine.error_event = error if in_event else None
        engine.error_after = 2 if manner == "later event" else 0
        told, head, body = await client.ask(BODIES[path] | {"stream": manner != "whole"}, path=path)
        assert b"error" in body
        assert not FORBIDDEN.search(body + repr(head).encode()), (status, body)
        assert told == 200 if manner == "later event" else told >= 400
