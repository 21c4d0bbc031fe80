"""Prompts that a client offers its user, such as `/draft_in_style`: they have its model use the tools."""

from collections.abc import Mapping
from dataclasses import dataclass

from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    GetPromptResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
)

STYLE = "style"
UNCHANGED = "Show its text word for word, without changes or comments."


@dataclass(frozen=True)
class PromptTemplate:
    """A prompt as it is listed, and its text with a place for each argument."""

    listed: Prompt
    text: str

    def fill(self, arguments: Mapping[str, str]) -> GetPromptResult:
        """Return the prompt's message. Raises MCPError if an argument is missing."""
        given = {}
        for argument in self.listed.arguments or ():
            value = arguments.get(argument.name, "").strip()
            if argument.required and not value:
                raise MCPError(INVALID_PARAMS, f"The prompt {self.listed.name} needs `{argument.name}`.")
            given[argument.name] = value
        message = PromptMessage(role="user", content=TextContent(text=self.text.format_map(given).strip()))
        return GetPromptResult(description=self.listed.description, messages=[message])


def _argument(name: str, description: str, *, required: bool = True) -> PromptArgument:
    return PromptArgument(name=name, description=description, required=required)


_STYLE = _argument(STYLE, "The style's name, such as brand-voice or acme/brand-voice.")

_ALL = (
    PromptTemplate(
        Prompt(
            name="draft_in_style",
            title="Draft in a style",
            description="Write a new text in one of your styles.",
            arguments=[_STYLE, _argument("brief", "What the text is about, and how long it should be.")],
        ),
        "Call Polyscribe's tool `write` with the style “{style}” and this brief as its prompt. "
        f"{UNCHANGED}\n\n{{brief}}",
    ),
    PromptTemplate(
        Prompt(
            name="rewrite_in_style",
            title="Rewrite in a style",
            description="Put an existing text into one of your styles.",
            arguments=[
                _STYLE,
                _argument("text", "The text to rewrite."),
                _argument("instructions", "What else to change, such as “half as long”.", required=False),
            ],
        ),
        "Call Polyscribe's tool `rewrite` with the style “{style}” and the text below. Instructions: "
        f"“{{instructions}}” (leave them out if they are empty). {UNCHANGED}\n\n{{text}}",
    ),
    PromptTemplate(
        Prompt(
            name="check_before_publishing",
            title="Check before publishing",
            description="Check where a text came from and how close it is to a style's author.",
            arguments=[
                _argument("text", "The text to check."),
                _argument(STYLE, "One of your own styles to compare it with.", required=False),
            ],
        ),
        "Call Polyscribe's tool `check_draft` with the text below and the style “{style}” (leave it out if "
        "it is empty). Say in two sentences what it found. If sentences are far from the author, quote them "
        "and suggest changes.\n\n{text}",
    ),
)
PROMPTS = {prompt.listed.name: prompt for prompt in _ALL}
