"""A checked request: what the engine gets, and what admission must know.

`fields.py` says what the API does with each field. A request that the engine would refuse is refused here
where that is simple, by the name of its field: the engine's own messages tell its internals.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from inference.contract import base_model, fields, messages, watermark
from inference.contract.field_checks import JSON_SCHEMA_KEYS, check_token_ids
from inference.contract.field_reader import Table, place_error, read_fields, require
from inference.contract.messages import rebuild_messages, rebuild_tools
from inference.contract.watermark import Unmarkable
from inference.errors import BadRequest
from inference.facts import JsonObject

# Fields of a request by which its sender can prescribe the text of the answer.
#
# A receipt names them: without that, anyone could have any text signed. A style may follow a prompt that
# dictates a text, too, but then the model wrote it.


def find_constraints(fields: JsonObject) -> Iterator[str]:
    """Yield the names of a checked chat's or completion's fields that prescribe what its text can be.

    Forced tool calls are none: a receipt is for the text beside them. Nor is `json_object`, which leaves the
    content to the model, or a negative bias, which forbids a few hundred tokens of some ten thousands.
    """
    if fields.get("echo"):
        yield "echo"
    biases = fields.get("logit_bias")
    if biases and max(biases.values()) > 0:
        yield "logit_bias"
    if (fields.get("response_format") or {}).get("type") == "json_schema":
        yield "response_format"
    if fields.get("structured_outputs"):
        yield "structured_outputs"


Kind = Literal["chat", "text"]

TEXT_OVERHEAD_TOKENS = 64  # the chat template's own: a default system message, the markers between messages
TOOLS_GROWTH = 4  # chat templates write tools with indentation
DEFAULT_COMPLETION_TOKENS = 16  # of /v1/completions, as at OpenAI
# The gateway reads these; the engine gets its own.
GATEWAY_FIELDS = (
    "model",
    "stream",
    "stream_options",
    "usage",
    "user",
    "max_completion_tokens",
    "watermarking",
)
BOUNDED_FIELDS = ("max_tokens", "min_tokens")
TOOL_FIELDS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})
TABLES: dict[Kind, Table] = {"chat": fields.CHAT, "text": fields.TEXT}


@dataclass(eq=False, slots=True)
class ParsedRequest:
    """A checked request: what the engine gets (`fields`), and what admission must know.

    `choices` is the number of its sequences: prompts times `n`. `user` is the end user's id that the client
    sent. `prompt_field` is the name of the prompt in the client's dialect. `drops_tools` says that the
    request lets the model choose a tool and the engine gets none: the chat template shows none. With
    `running_usage` each chunk of a stream reports the usage until then. `is_translated` says that the answer
    is translated into another dialect, which needs facts of the engine that OpenAI's form lacks; `names` are
    its names of a chat's fields, where they differ. `watermarking` is what the client wants, None if it
    doesn't say; `unmarkable` is why there can be no watermark. `constrained` names the fields that prescribe
    the answer's text.
    """

    kind: Kind
    model: str
    fields: JsonObject
    stream: bool
    include_usage: bool
    output_tokens: int
    choices: int
    choices_per_prompt: int
    body_bytes: int
    prompt_field: str
    user: str = ""
    drops_tools: bool = False
    running_usage: bool = False
    is_translated: bool = False
    watermarking: bool | None = None
    unmarkable: Unmarkable = ""
    constrained: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    _serialized: bytes | None = None

    def serialize(self) -> bytes:
        """Return the JSON of `fields` without those whose value is the plan's to bound, made once."""
        if self._serialized is None:
            unbounded = {name: value for name, value in self.fields.items() if name not in BOUNDED_FIELDS}
            self._serialized = orjson.dumps(unbounded)
        return self._serialized

    def forget_serialized(self) -> None:
        """Free that memory; it is made again where it is needed again."""
        self._serialized = None

    def prompts(self) -> list[str | list[int]]:
        """Return the prompts of a text completion: texts, or token ids."""
        prompt = self.fields["prompt"]
        is_one = isinstance(prompt, str) or isinstance(prompt[0], int)
        return [prompt] if is_one else prompt

    def prompt_bound(self) -> int:
        """Return an upper bound of the prompt's tokens.

        No token is shorter than a byte, and the JSON around a message is longer than what a chat template
        writes around it. Only tools grow: templates write them with indentation.
        """
        tools_bytes = len(orjson.dumps(self.fields["tools"])) if "tools" in self.fields else 0
        return self.body_bytes + TOOLS_GROWTH * tools_bytes + TEXT_OVERHEAD_TOKENS


def parse_request(kind: Kind, body: bytes) -> ParsedRequest:
    """Return the request in a checked form. Raises BadRequest naming the field that is wrong."""
    raw = read_json(body)
    if raw.get("model") is None:
        raise BadRequest("You must provide a `model`: the name of a style, such as `poetry`.", param="model")
    served = read_fields(TABLES[kind], raw)
    model = served.pop("model")
    user = served.pop("user", "")
    stream = served.pop("stream", False)
    has_stream_options = "stream_options" in served
    stream_options = served.pop("stream_options", {})
    includes_usage = served.pop("usage", {}).get("include")
    max_completion_tokens = served.pop("max_completion_tokens", 0)
    watermarking = served.pop("watermarking", None)
    if has_stream_options and not stream:
        raise place_error("stream_options", "requires `stream`")
    sends_tools = bool(served.get("tools"))
    body_bytes = len(body)
    has_grammar = _check_chat(served) if kind == "chat" else _check_text(served)
    unmarkable = watermark.read_unmarkable(served, has_grammar=has_grammar)
    watermark.check_watermarking(watermarking, unmarkable)
    if kind == "chat" and messages.has_tool_messages(served["messages"]) and not base_model.has_tools():
        served["messages"] = messages.write_as_texts(served["messages"])
        body_bytes = max(body_bytes, len(orjson.dumps(served["messages"])))
    output_tokens = max_completion_tokens or served.get("max_tokens", 0)
    if not output_tokens and kind == "text":
        output_tokens = DEFAULT_COMPLETION_TOKENS
    if output_tokens and served.get("min_tokens", 0) > output_tokens:
        raise place_error("min_tokens", "must not be above `max_tokens`")
    parsed = ParsedRequest(
        kind=kind,
        model=model,
        fields=served,
        stream=stream,
        include_usage=bool(includes_usage or stream_options.get("include_usage")),
        # As vLLM has it: who wants no usage gets none in the chunks, either.
        running_usage=bool(
            stream_options.get("include_usage", True) and stream_options.get("continuous_usage_stats")
        ),
        output_tokens=output_tokens,
        choices=1,
        choices_per_prompt=served.get("n", 1),
        body_bytes=body_bytes,
        prompt_field="messages" if kind == "chat" else "prompt",
        user=user,
        drops_tools=sends_tools and "tools" not in served,
        watermarking=watermarking,
        unmarkable=unmarkable,
        constrained=" ".join(find_constraints(served)),
    )
    # The engine runs one sequence for each prompt and each of its `n` answers.
    prompt_count = 1 if kind == "chat" else len(parsed.prompts())
    parsed.choices = parsed.choices_per_prompt * prompt_count
    if parsed.choices > fields.MAX_SEQUENCES:
        raise BadRequest(
            f"A request can have at most {fields.MAX_SEQUENCES} sequences (prompts times `n`); this one "
            f"has {parsed.choices}.",
            param="n",
        )
    return parsed


def read_json(body: bytes) -> JsonObject:
    """Return the JSON object of a body. Raises BadRequest."""
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("The request body is not valid JSON.") from None
    if not isinstance(raw, dict):
        raise BadRequest("The request body must be a JSON object.")
    return raw


def _check_chat(served: JsonObject) -> bool:
    """Check a chat, rebuild its messages and tools; return whether it has a grammar. Raises BadRequest."""
    served["messages"] = rebuild_messages(served.get("messages"))
    has_tool_fields = not served.keys().isdisjoint(TOOL_FIELDS)
    tool_constraint = rebuild_tools(served) if has_tool_fields else []
    if served.get("top_logprobs") and not served.get("logprobs"):
        raise place_error("top_logprobs", "needs `logprobs`")
    return _rebuild_constraint(served, tool_constraint)


def _check_text(served: JsonObject) -> bool:
    """Check a text completion and its prompts; return whether it has a grammar. Raises BadRequest."""
    _check_prompt(served.get("prompt"))
    # vLLM 0.32 (CPU): the whole engine dies when a request with both shares a batch.
    echoes_logprobs = served.get("echo") and "logprobs" in served
    require(not echoes_logprobs, "logprobs", "can't be combined with `echo`")
    return _rebuild_constraint(served, [])


def _check_prompt(prompt: Any) -> None:
    prompts = _list_prompts(prompt)
    are_prompts = prompts and all(item and isinstance(item, str | list) for item in prompts)
    require(are_prompts, "prompt", "must be a string, a list of strings, or a list of token ids")
    kinds = {type(item) for item in prompts}
    require(len(kinds) == 1, "prompt", "must contain strings or lists of token ids, not both")
    if len(prompts) > fields.MAX_SEQUENCES:
        raise BadRequest(f"A request can have at most {fields.MAX_SEQUENCES} prompts.", param="prompt")
    for item in prompts:
        if isinstance(item, list):
            check_token_ids("prompt", item)


def _list_prompts(prompt: Any) -> list[Any]:
    """Return a prompt's parts; a list of numbers is one prompt, of token ids."""
    is_several = isinstance(prompt, list) and not all(type(item) is int for item in prompt)
    return prompt if is_several else [prompt]


def _rebuild_constraint(served: JsonObject, tool_constraint: list[Any]) -> bool:
    """Rebuild what the answer must look like; return whether it has a grammar: `json_object` is none."""
    response_format = served.get("response_format")
    structure = served.get("structured_outputs")
    if structure is not None:
        is_free_text = response_format is None or response_format["type"] == "text"
        why = "can't be combined with `response_format` or with forced tool calls"
        require(is_free_text and not tool_constraint, "structured_outputs", why)
        served["structured_outputs"] = _without_nulls(structure, structure)
    schema = None
    if response_format is not None:
        schema = _rebuild_response_format(served, response_format)
    return bool(tool_constraint) or structure is not None or schema is not None


def _rebuild_response_format(served: JsonObject, response_format: JsonObject) -> Any:
    """Rebuild the form of the answer, within `served`; return the schema that it has to follow, if any."""
    rebuilt: JsonObject = {"type": response_format["type"]}
    schema = None
    if response_format["type"] == "json_schema":
        described = response_format["json_schema"]
        schema = described["schema"]
        rebuilt["json_schema"] = _without_nulls(described, JSON_SCHEMA_KEYS)
    served["response_format"] = rebuilt
    return schema


def _without_nulls(value: JsonObject, names: Iterable[str]) -> JsonObject:
    return {name: value[name] for name in names if value.get(name) is not None}
