"""A checked request: what goes to the engine, and what admission must know of it.

`fields.py` says what becomes of each field. What the engine would refuse is refused here by name where that
is simple: its own words speak of its inside.
"""

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from inference.contract import conversation, fields, grammars
from inference.errors import BadRequest

Kind = Literal["chat", "text"]

TEXT_OVERHEAD = 64  # the chat template's own tokens: a default system message, the turn markers
TOOLS_GROWTH = 4
COMPLETION_TOKENS = 16  # of /v1/completions where nothing is said, as OpenAI has it
# They are for the gateway; the engine gets its own.
GATEWAYS = ("model", "stream", "stream_options", "user", "max_completion_tokens")
OF_TOOLS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})
TABLES: dict[Kind, fields.Table] = {"chat": fields.CHAT, "text": fields.TEXT}


@dataclass(eq=False, slots=True)
class ParsedRequest:
    """A checked request: what goes to the engine, and what admission must know.

    `choices` are its sequences: prompts times n. `user` is whom the client asks for, by its own word.
    `prompt_field` is how its form calls the prompt. `grammar` names what the answer must look like: the same
    demand has the same name, no demand has none. `is_translated` where its answer becomes another form's,
    which needs more of the engine's facts than OpenAI's has.
    """

    kind: Kind
    model: str
    fields: dict[str, Any]
    stream: bool
    include_usage: bool
    output_tokens: int
    choices: int
    choices_per_prompt: int
    body_bytes: int
    prompt_field: str
    user: str = ""
    grammar: str = ""
    is_translated: bool = False

    def prompts(self) -> list[str | list[int]]:
        """Return the prompts of a text completion: texts, or token ids."""
        prompt = self.fields["prompt"]
        is_one = isinstance(prompt, str) or isinstance(prompt[0], int)
        return [prompt] if is_one else prompt

    def prompt_bound(self) -> int:
        """Return an upper bound of the prompt's tokens.

        No token is shorter than a byte, and what JSON puts around a message is longer than what a chat
        template does; only tools are written out anew, indented.
        """
        tools = len(orjson.dumps(self.fields["tools"])) if "tools" in self.fields else 0
        return self.body_bytes + TOOLS_GROWTH * tools + TEXT_OVERHEAD


def parse_request(kind: Kind, body: bytes) -> ParsedRequest:
    """Return the request in a checked form. Raises BadRequest naming the field that is wrong."""
    raw = read(body)
    if raw.get("model") is None:
        raise BadRequest("You must provide a `model`: the name of a style, such as `poetry`.", param="model")
    taken = fields.read_fields(TABLES[kind], raw)
    model, user = taken.pop("model"), taken.pop("user", "")
    stream, options = taken.pop("stream", False), taken.pop("stream_options", None)
    shorter = taken.pop("max_completion_tokens", 0)
    if options is not None and not stream:
        raise BadRequest("`stream_options` is for streams: set `stream`.", param="stream_options")
    grammar = _check_chat(taken) if kind == "chat" else _check_text(taken)
    output_tokens = shorter or taken.get("max_tokens") or (COMPLETION_TOKENS if kind == "text" else 0)
    if output_tokens and taken.get("min_tokens", 0) > output_tokens:
        raise BadRequest("`min_tokens` must not be above `max_tokens`.", param="min_tokens")
    parsed = ParsedRequest(
        kind=kind, model=model, fields=taken, stream=stream,
        include_usage=bool(options and options.get("include_usage")), output_tokens=output_tokens,
        choices=1, choices_per_prompt=taken.get("n", 1), body_bytes=len(body),
        prompt_field="messages" if kind == "chat" else "prompt", user=user, grammar=grammar,
    )  # fmt: skip
    parsed.choices = parsed.choices_per_prompt * (1 if kind == "chat" else len(parsed.prompts()))
    if parsed.choices > fields.MAX_SEQUENCES:
        raise BadRequest(
            f"A request may have {fields.MAX_SEQUENCES} sequences, prompts times `n`; this one has "
            f"{parsed.choices}.",
            param="n",
        )
    return parsed


def read(body: bytes) -> dict[str, Any]:
    """Return a body's JSON object. Raises BadRequest."""
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("The body is not valid JSON.") from None
    if not isinstance(raw, dict):
        raise BadRequest("The body must be a JSON object.")
    return raw


def _check_chat(taken: dict[str, Any]) -> str:
    """Write a chat's conversation anew; return what names its grammar. Raises BadRequest."""
    taken["messages"] = conversation.rebuild_messages(taken.get("messages"))
    tools = [] if taken.keys().isdisjoint(OF_TOOLS) else conversation.rebuild_tools(taken)
    if taken.get("top_logprobs") and not taken.get("logprobs"):
        raise BadRequest("`top_logprobs` needs `logprobs`.", param="top_logprobs")
    return _rebuild_constraint(taken, tools)


def _check_text(taken: dict[str, Any]) -> str:
    """Check a text completion's prompts; return what names its grammar. Raises BadRequest."""
    prompt = taken.get("prompt")
    prompts = prompt if isinstance(prompt, list) else [prompt]
    if prompts and all(type(token) is int for token in prompts):
        prompts = [prompts]
    if not prompts or not all(prompt and isinstance(prompt, str | list) for prompt in prompts):
        raise BadRequest("`prompt` must be a text, a list of texts, or of token ids.", param="prompt")
    if len({type(prompt) for prompt in prompts}) > 1:
        raise BadRequest("`prompt` must have texts or lists of token ids, not both.", param="prompt")
    if len(prompts) > fields.MAX_SEQUENCES:
        raise BadRequest(f"At most {fields.MAX_SEQUENCES} prompts a request.", param="prompt")
    for prompt in prompts:
        if isinstance(prompt, list):
            fields.check_tokens("prompt", prompt)
    if taken.get("echo") and "logprobs" in taken:
        # vLLM 0.32 (CPU): the whole engine dies when such a request shares a batch.
        raise BadRequest("`logprobs` can't be had together with `echo`.", param="logprobs")
    return _rebuild_constraint(taken, [])


def _rebuild_constraint(taken: dict[str, Any], tools: list[Any]) -> str:
    """Write what the answer must look like anew; return what names it, "" where it is free."""
    form, structure = taken.get("response_format"), taken.get("structured_outputs")
    if form is None and structure is None and not tools:
        return ""
    if structure is not None:
        if tools or (form is not None and form["type"] != "text"):
            raise BadRequest(
                "`structured_outputs` can't be had together with `response_format`, nor with tools that must "
                "be called.",
                param="structured_outputs",
            )
        taken["structured_outputs"] = {kind: value for kind, value in structure.items() if value is not None}
    schema = None
    if form is not None:
        taken["response_format"] = {"type": form["type"]}
        if form["type"] == "json_schema":
            told = form["json_schema"]
            schema = told["schema"]
            rebuilt = {name: told[name] for name in fields.FORMAT_KEYS if told.get(name) is not None}
            taken["response_format"]["json_schema"] = rebuilt
    if not tools and structure is None and schema is None:
        return ""
    return grammars.digest_of(tools, structure, schema)
