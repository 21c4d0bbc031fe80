"""A tool parser for vLLM (`--tool-parser-plugin`): a forced call ends, and a call that a limit cuts is shown.

It is the parser that ENGINE_TOOL_CALL_PARSER names, with what vLLM 0.32 lacks an option for.
"""

import json
import os
import re
from typing import Any

from pydantic import BaseModel
from vllm.entrypoints.generate.base.protocol import ExtractedToolCallInformation, FunctionCall, ToolCall
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionNamedToolChoiceParam
from vllm.sampling_params import StructuredOutputsParams
from vllm.tool_parsers import ToolParser, ToolParserManager
from vllm.tool_parsers.hermes_tool_parser import Hermes2ProToolParser
from xgrammar.structural_tag import JSONSchemaFormat, StructuralTag

NAME = "polyscribe"
VARIABLE = "ENGINE_TOOL_CALL_PARSER"
# Between two signs of JSON, as models write it on one line. Without a bound a small model writes blanks until
# the limit, wherever they may stand.
MAX_BLANKS = 1
UNKNOWN_VLLM = (
    "This vLLM's tool parsers are not those that engine/extensions/polyscribe_tools.py corrects: find out "
    "whether a forced call still writes blanks until the limit, and what is shown of a call that is cut."
)
HERMES_METHODS = ("_extract_tool_call_jsons", "_extract_tool_name", "_extract_tool_args")
OPEN_NAME = re.compile(r'"name"\s*:\s*"([^"]*)$')


def bound_blanks(tag: Any) -> None:
    """Bound the blanks in every JSON text of a structural tag, in place; arguments are always an object."""
    pending = [tag]
    while pending:
        node = pending.pop()
        if isinstance(node, list | tuple):
            pending.extend(node)
        elif isinstance(node, BaseModel):
            if isinstance(node, JSONSchemaFormat):
                node.max_whitespace_cnt = MAX_BLANKS
                if node.json_schema is True:
                    node.json_schema = {"type": "object"}
            pending.extend(getattr(node, name) for name in type(node).model_fields)


def forced_names(request: Any) -> list[str]:
    """Return the functions of which the model must call one; [] where it need not call any."""
    choice = request.tool_choice
    if isinstance(choice, ChatCompletionNamedToolChoiceParam):
        return [choice.function.name]
    if choice == "required":
        return [tool.function.name for tool in request.tools or ()]
    return []


class ShowsCutCalls(Hermes2ProToolParser):
    """The Hermes format, `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, also where it breaks off.

    A forced call is known as soon as only one function can be meant: the grammar lets nothing else follow.
    """

    _forced_names: tuple[str, ...] | list[str] = ()

    def extract_tool_calls(self, model_output: str, request: Any) -> ExtractedToolCallInformation:
        """Return the calls of a whole answer. The last one's arguments are no JSON where the limit cut it."""
        self._forced_names = forced_names(request)
        regions = self._extract_tool_call_jsons(model_output)
        begin = model_output.rfind(self.tool_call_start_token)
        is_cut = bool(regions) and begin >= model_output.rfind(self.tool_call_end_token)
        if not is_cut:
            return super().extract_tool_calls(model_output, request)
        calls = []
        for text, is_complete in regions:
            name = self._extract_tool_name(text)
            if name:
                arguments = self._extract_tool_args(text, is_complete) or ""
                calls.append(ToolCall(function=FunctionCall(name=name, arguments=arguments)))
        content, start, _ = model_output.partition(self.tool_call_start_token)
        # vLLM shows the raw text where no tool was called.
        return ExtractedToolCallInformation(
            tools_called=True, tool_calls=calls, content=(content if start else "") or None
        )

    def extract_tool_calls_streaming(self, *arguments: Any, **keywords: Any) -> Any:
        """Return what is new of the calls; vLLM passes the request as the last argument."""
        self._forced_names = forced_names(keywords.get("request") or arguments[-1])
        return super().extract_tool_calls_streaming(*arguments, **keywords)

    def get_remaining_unstreamed_args(self) -> str:
        """Return nothing: all is streamed. vLLM gives `{}` to a call whose arguments have not begun."""
        return ""

    def _extract_tool_call_jsons(self, text: str) -> list[tuple[str, bool]]:
        regions = super()._extract_tool_call_jsons(text)
        is_beginning = bool(text) and self.tool_call_start_token.startswith(text)
        if not regions and self._forced_names and is_beginning:
            return [("", False)]
        return regions

    def _extract_tool_name(self, tc_json: str) -> str | None:  # type: ignore[override]
        name = super()._extract_tool_name(tc_json)
        if name or not self._forced_names:
            return name
        begun = OPEN_NAME.search(tc_json)
        possible = [name for name in self._forced_names if name.startswith(begun[1] if begun else "")]
        return possible[0] if len(possible) == 1 else None


def correct(parser: type[ToolParser]) -> type[ToolParser]:
    """Return a parser with the corrections that apply to it."""

    class Corrected(parser):  # type: ignore[valid-type, misc]
        def get_structural_tag(self, *arguments: Any, **keywords: Any) -> Any:
            tag = super().get_structural_tag(*arguments, **keywords)
            bound_blanks(tag)
            return tag

        def adjust_request(self, request: Any) -> Any:
            adjusted = super().adjust_request(request)
            structure = adjusted.structured_outputs
            # Formats that vLLM has no tags for: a forced call is JSON of a schema.
            if forced_names(adjusted) and structure is not None and isinstance(structure.json, dict):
                tag = StructuralTag(format=JSONSchemaFormat(json_schema=structure.json))
                bound_blanks(tag)
                adjusted.structured_outputs = StructuredOutputsParams(
                    structural_tag=json.dumps(tag.model_dump())
                )
            return adjusted

    return Corrected


def register() -> None:
    """Make the corrected parser known to vLLM under NAME. Raises RuntimeError at a vLLM that is another."""
    is_known = all(hasattr(Hermes2ProToolParser, name) for name in HERMES_METHODS)
    if not is_known or "max_whitespace_cnt" not in JSONSchemaFormat.model_fields:
        raise RuntimeError(UNKNOWN_VLLM)
    wanted = ToolParserManager.get_tool_parser(os.environ.get(VARIABLE) or "hermes")
    is_hermes = wanted is Hermes2ProToolParser
    ToolParserManager.register_module(NAME, module=correct(ShowsCutCalls if is_hermes else wanted))


register()
