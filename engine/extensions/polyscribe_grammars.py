"""A plugin of vLLM's: what a grammar costs is bounded, by llguidance's fuel and by measured processor time.

vLLM loads it in each of its processes, Ray's replicas among them (`polyscribe_plugin.py`). vLLM passes no
limits to llguidance, parses each grammar in the server that serves everybody, and answers 500 if one fails.
"""

import json
import re
import time
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from typing import Any

import llguidance
import torch
from vllm.logger import init_logger
from vllm.sampling_params import SamplingParams
from vllm.v1 import structured_output
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.request import Request, RequestStatus
from vllm.v1.structured_output import backend_guidance
from vllm.v1.structured_output.backend_guidance import (
    GuidanceBackend,
    GuidanceGrammar,
    process_for_additional_properties,
    serialize_guidance_grammar,
)
from vllm.v1.structured_output.backend_types import StructuredOutputGrammar, StructuredOutputOptions

logger = init_logger(__name__)
# Fuel buys work, not time: with llguidance's own limits a mask took up to 0.67 s, with these 10 ms, 0.15 s
# where only one text of thousands of characters may follow (decision 82). The library searches a row of
# Earley items from its beginning for each new one, so the items of a step cost more in longer rows.
LIMITS = {
    "max_items_in_row": 1_100,  # 256 optional properties are 1,023
    "step_max_items": 4_000,
    "step_lexer_fuel": 20_000,
    "initial_lexer_fuel": 200_000,
    "max_grammar_size": 100_000,
    "max_lexer_states": 10_000,  # 1 to 2 KB each
    "verbose_errors": False,
}
# Processor time of the thread, so that a busy machine ends nobody. Ordinary masks take 0.1 to 5 ms.
MOST_CALL_S = 0.05
FOLLOW_S = 0.25
FOLLOW_TOKEN_S = 0.001
# For the text `stop_reason` of an answer, longer than any stop text of a client, so that none can pretend it.
PADDING = "." * 1100
TOO_EXPENSIVE = "polyscribe:grammar_too_expensive" + PADDING
INVALID_GRAMMAR = "polyscribe:invalid_grammar" + PADDING
# What llguidance says where a limit is reached, at compiling or later.
LIMIT_WORDS = re.compile(r"too (many|large|big|complex)|limit|fuel|max is|u16::MAX", re.IGNORECASE)
# A lexeme of its own, for text that nothing else bounds.
ANY_TEXT = r"/(.|\n)*/"


@dataclass
class BoundedGrammar(GuidanceGrammar):
    """A sequence's place in its grammar, until that costs too much. `failure` is the `stop_reason` then."""

    stop_token_ids: Set[int] = frozenset()
    failure: str = ""
    left_s: float = FOLLOW_S

    def accept_tokens(self, request_id: str, tokens: list[int]) -> bool:
        """Follow the tokens. Returns True also for wrong ones: the next token is dropped, and says why."""
        self.left_s += FOLLOW_TOKEN_S * len(tokens)
        if self.failure:
            return True
        # vLLM lets anything follow an end, such as the token that `min_tokens` leaves.
        has_ended = self.ll_matcher.is_stopped()
        is_valid = self._measure(super().accept_tokens, request_id, tokens)
        if has_ended and not self.stop_token_ids.issuperset(tokens):
            is_valid = False
        if not is_valid and not self.failure:
            self.failure = INVALID_GRAMMAR
        return True

    def fill_bitmask(self, bitmask: torch.Tensor, idx: int) -> None:
        """Write the mask of the tokens that may follow."""
        if not self.failure:
            self._measure(super().fill_bitmask, bitmask, idx)
        if self.failure:
            bitmask[idx].fill_(-1)  # the token will be dropped

    def _measure(self, call: Callable[..., Any], *arguments: Any) -> Any:
        began_s = time.thread_time()
        result = call(*arguments)
        took_s = time.thread_time() - began_s
        self.left_s -= took_s
        if self.ll_matcher.is_error():
            self.failure = reason_of(self.ll_matcher.get_error())
        elif took_s > MOST_CALL_S or self.left_s < 0:
            self.failure = TOO_EXPENSIVE
        return result


@dataclass
class FailedGrammar(StructuredOutputGrammar):
    """A grammar that was not compiled: its request ends with its first token, which is dropped."""

    failure: str

    def accept_tokens(self, request_id: str, tokens: list[int]) -> bool:
        return True

    def validate_tokens(self, tokens: list[int]) -> list[int]:
        return tokens

    def rollback(self, num_tokens: int) -> None:
        """Do nothing: no token was followed."""

    def fill_bitmask(self, bitmask: torch.Tensor, batch_index: int) -> None:
        bitmask[batch_index].fill_(-1)

    def is_terminated(self) -> bool:
        return False

    def reset(self) -> None:
        """Do nothing: no token was followed."""


@dataclass
class BoundedBackend(GuidanceBackend):
    """vLLM's backend for llguidance, with limits."""

    def compile_grammar(
        self, request_type: StructuredOutputOptions, grammar_spec: str, stop_token_ids: set[int] | None = None
    ) -> StructuredOutputGrammar:
        """Return a grammar at its beginning; llguidance leaves the interpreter to others meanwhile."""
        try:
            text = self._serialize(request_type, grammar_spec)
        except Exception as error:  # noqa: BLE001  whatever the conversions raise, this grammar is none
            logger.info("No grammar: %s", type(error).__name__)
            return FailedGrammar(INVALID_GRAMMAR)
        matcher = llguidance.LLMatcher(
            self.ll_tokenizer, text, log_level=0, limits=llguidance.LLParserLimits(**LIMITS)
        )
        if matcher.is_error():
            return FailedGrammar(reason_of(matcher.get_error()))
        stop_tokens = frozenset({*(stop_token_ids or ()), self.ll_tokenizer.eos_token})
        return BoundedGrammar(matcher, self.ll_tokenizer, self.vocab_size, stop_token_ids=stop_tokens)

    def _serialize(self, kind: StructuredOutputOptions, text: str) -> str:
        """Return a grammar in llguidance's own words."""
        if kind == StructuredOutputOptions.STRUCTURAL_TAG:
            return Lark().of(json.loads(text))
        if kind == StructuredOutputOptions.CHOICE:
            # One lexeme: as rules, each choice would be an item of the row.
            return f"start: CHOICE\nCHOICE: {' | '.join(map(json.dumps, json.loads(text)))}\n"
        if kind == StructuredOutputOptions.JSON:
            schema = json.dumps(close_objects(json.loads(text)))
            return llguidance.LLMatcher.grammar_from_json_schema(schema, overrides={"coerce_one_of": True})
        return serialize_guidance_grammar(kind, text)


def close_objects(schema: Any) -> dict[str, Any]:
    """Return a schema whose objects have no properties but those that it names, unless it says otherwise.

    A small model would write others until the limit. Its own `x-guidance` goes: llguidance obeys it.
    """
    if schema is True:
        return {}
    closed = process_for_additional_properties(schema)
    closed.pop("x-guidance", None)
    return closed


@dataclass
class Lark:
    """Turns a structural tag, xgrammar's description of tool calls, into a grammar for llguidance."""

    rules: list[str] = field(default_factory=list)

    def of(self, tag: dict[str, Any]) -> str:
        """Return the grammar. Raises KeyError for what only xgrammar follows: XML, token numbers."""
        start = self._body(tag["format"])
        return "\n".join([f"start: {start}", *self.rules, f"ANY_TEXT: {ANY_TEXT}", ""])

    def _body(self, node: dict[str, Any]) -> str:
        """Return what a format allows, as the body of a rule in brackets."""
        body = getattr(self, f"_{node['type']}", None)
        if body is None:
            raise KeyError(node["type"])
        return f"({body(node)})"

    def _rule(self, body: str, options: str = "") -> str:
        """Give a body a name, and return that."""
        name = f"r{len(self.rules)}"
        self.rules.append(f"{name}{options}: {body}")
        return name

    def _const_string(self, node: dict[str, Any]) -> str:
        return json.dumps(node["value"])

    def _json_schema(self, node: dict[str, Any]) -> str:
        if node.get("style", "json") != "json":
            raise KeyError(node["style"])
        options: dict[str, Any] = {"coerce_one_of": True}
        if (blanks := node.get("max_whitespace_cnt")) is not None:
            blank = rf"[ \n]{{0,{blanks}}}"
            options |= {"whitespace_flexible": False}
            options |= {"item_separator": f"{blank},{blank}", "key_separator": f"{blank}:{blank}"}
        return f"%json {json.dumps({**close_objects(node['json_schema']), 'x-guidance': options})}"

    def _any_text(self, node: dict[str, Any]) -> str:
        return "ANY_TEXT"

    def _regex(self, node: dict[str, Any]) -> str:
        pattern = node["pattern"].replace("/", "\\/")
        return f"/{pattern}/"

    def _sequence(self, node: dict[str, Any]) -> str:
        return " ".join(map(self._body, node["elements"]))

    def _or(self, node: dict[str, Any]) -> str:
        return " | ".join(map(self._body, node["elements"]))

    def _optional(self, node: dict[str, Any]) -> str:
        return f"{self._body(node['content'])}?"

    def _plus(self, node: dict[str, Any]) -> str:
        return f"{self._body(node['content'])}+"

    def _star(self, node: dict[str, Any]) -> str:
        return f"{self._body(node['content'])}*"

    def _tag(self, node: dict[str, Any], *, after: str = "") -> str:
        ends = node["end"] if isinstance(node["end"], list) else [node["end"]]
        begin = node["begin"].removeprefix(after)
        parts = [json.dumps(begin)] if begin else []
        parts.append(self._body(node["content"]))
        if any(ends):
            parts.append(f"({' | '.join(map(json.dumps, ends))})")
        return " ".join(parts)

    def _tags_with_separator(self, node: dict[str, Any]) -> str:
        tag = self._rule(" | ".join(map(self._tag, node["tags"])))
        separator = json.dumps(node["separator"]) if node["separator"] else ""
        more = "" if node["stop_after_first"] else f" ({separator} {tag})*"
        return f"{tag}{more}" if node["at_least_one"] else f"({tag}{more})?"

    def _triggered_tags(self, node: dict[str, Any]) -> str:
        """Any text up to a trigger, then one of its tags, and so on."""
        branches = []
        for trigger in node["triggers"]:
            tags = [tag for tag in node["tags"] if tag["begin"].startswith(trigger)]
            text = "" if node["at_least_one"] and node["stop_after_first"] else "ANY_TEXT "
            head = self._rule(f"{text}{json.dumps(trigger)}", "[lazy]")
            bodies = " | ".join(self._tag(tag, after=trigger) for tag in tags)
            branches.append(f"{head} ({bodies})")
        tag = self._rule(" | ".join(branches))
        if node["stop_after_first"]:
            return tag if node["at_least_one"] else f"{tag} | ANY_TEXT"
        return f"{tag}+ ANY_TEXT" if node["at_least_one"] else f"{tag}* ANY_TEXT"


def reason_of(error: str) -> str:
    """Return the `stop_reason` for what llguidance says."""
    return TOO_EXPENSIVE if LIMIT_WORDS.search(error) else INVALID_GRAMMAR


def leave_check_to_engine(sampling_params: SamplingParams, tokenizer: Any = None) -> None:
    """Check nothing: the engine finds what is no grammar, in a thread and within limits."""


def install() -> None:
    """Put ours in the places of vLLM's."""
    structured_output.GuidanceBackend = BoundedBackend  # type: ignore[misc]
    backend_guidance.validate_guidance_grammar = leave_check_to_engine
    original = Scheduler._update_request_with_output

    def update(
        self: Scheduler, request: Request, new_token_ids: list[int], *others: Any, **keywords: Any
    ) -> tuple[list[int], bool]:
        wanted = request.structured_output_request
        failure = getattr(wanted.grammar, "failure", "") if wanted and new_token_ids else ""
        if not failure:
            return original(self, request, new_token_ids, *others, **keywords)
        # The token was taken without a mask, so it is dropped. An error of vLLM's would carry no usage.
        request.status = RequestStatus.FINISHED_STOPPED
        request.stop_reason = failure
        request.resumable = False
        return [], True

    Scheduler._update_request_with_output = update  # type: ignore[method-assign]
