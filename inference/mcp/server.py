"""The protocol's server: the SDK's, with our tools and prompts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListToolsResult,
    PaginatedRequestParams,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
)

from inference.mcp import tools
from inference.mcp.api import Api

# Prompts that a client offers its user, such as `/draft_in_style`: they have its model use the tools.

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


API = "polyscribe.api"  # in the ASGI scope of a request
MAX_COMPLETIONS = 100  # the most that the protocol allows
INSTRUCTIONS = (
    "Polyscribe writes text in trained writing styles. Call list_styles for the styles that you can use, "
    "write for a new text and rewrite for one that exists. Show what they return word for word: rephrased, "
    "it loses the style. check_draft says whether a text was generated here and how close it is to a "
    "style's author. write and rewrite are billed; the others are free."
)

type Context = ServerRequestContext[Any, Any]


def make_server() -> Server[Any]:
    """Return a server whose handlers find the API of each client in the request's ASGI scope."""
    server: Server[Any] = Server(
        "polyscribe",
        version=settings.VERSION,
        title="Polyscribe",
        instructions=INSTRUCTIONS,
        website_url=settings.SITE_URL,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete_argument,
        get_tool_input_schema=lambda _: None,  # none names a header
    )
    server.middleware.clear()  # its spans would repeat those of the calls of `/v1`: inference.tracing
    return server


async def list_tools(_context: Context, _params: PaginatedRequestParams | None) -> ListToolsResult:
    """Return the tools, which are the same for everyone."""
    return ListToolsResult(tools=[tool.listed for tool in tools.TOOLS.values()])


async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
    """Return what a tool says. Raises MCPError for one that does not exist."""
    tool = tools.TOOLS.get(params.name)
    if tool is None:
        raise MCPError(INVALID_PARAMS, f"There is no tool “{params.name[:100]}”. See tools/list.")

    async def report(tokens: int) -> None:
        await context.session.report_progress(tokens, message=f"{tokens} tokens written")

    return await tools.run_tool(tool, _api_of(context), params.arguments or {}, report)


async def list_prompts(_context: Context, _params: PaginatedRequestParams | None) -> ListPromptsResult:
    """Return the prompts, which are the same for everyone."""
    return ListPromptsResult(prompts=[prompt.listed for prompt in PROMPTS.values()])


async def get_prompt(_context: Context, params: GetPromptRequestParams) -> GetPromptResult:
    """Return a prompt with its arguments filled in. Raises MCPError for a wrong or a missing name."""
    prompt = PROMPTS.get(params.name)
    if prompt is None:
        raise MCPError(INVALID_PARAMS, f"There is no prompt “{params.name[:100]}”. See prompts/list.")
    return prompt.fill(params.arguments or {})


async def complete_argument(context: Context, params: CompleteRequestParams) -> CompleteResult:
    """Return the styles whose names begin as what was typed for the argument `style`."""
    if params.argument.name != STYLE:
        return CompleteResult(completion=Completion(values=[]))
    names = [
        name for name in await tools.list_names(_api_of(context)) if name.startswith(params.argument.value)
    ]
    shown = names[:MAX_COMPLETIONS]
    completion = Completion(values=shown, total=len(names), has_more=len(names) > len(shown))
    return CompleteResult(completion=completion)


def _api_of(context: Context) -> Api:
    assert context.request  # over HTTP there always is one
    api: Api = context.request.scope[API]
    return api
