"""What editors and chat programs send, as recorded. The gateway's tests and the journeys share this table.

Each entry was read in the source of the version that it names, or is what the HTTP library of that version
sent.
"""

from dataclasses import dataclass
from typing import Any

type Json = dict[str, Any]

STYLE = "poetry"
SYSTEM = {"role": "system", "content": "You help a writer."}
ASKED = "Tell me of the sea."
TURN = {"role": "user", "content": ASKED}
PARTS = {"role": "user", "content": [{"type": "text", "text": ASKED}]}
WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}
# On a computer, an iPhone and Android.
OBSIDIANS = ("app://obsidian.md", "capacitor://localhost", "http://localhost")


def stainless(package: str) -> dict[str, str]:
    """Return the headers of OpenAI's JavaScript client, which a page must be allowed to send."""
    facts = {"arch": "x64", "lang": "js", "os": "Linux", "runtime": "node", "runtime-version": "v22.21.1"}
    facts |= {"package-version": package, "retry-count": "0"}
    return {f"x-stainless-{name}": fact for name, fact in facts.items()}


def tool(name: str, **properties: Json) -> Json:
    """Return a function, as all of these programs describe theirs."""
    schema = {"type": "object", "properties": properties, "required": [*properties]}
    return {"type": "function", "function": {"name": name, "description": "…", "parameters": schema}}


@dataclass(frozen=True)
class Recorded:
    """One request of a program. With `is_page`, it is sent by a page, so a preflight goes before it."""

    program: str
    body: Json
    headers: dict[str, str]
    is_page: bool = False

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream"))


# Obsidian: Copilot 4.0.2 (logancyang/obsidian-copilot 611831b, src/LLMProviders/chatModelManager.ts,
# OPENAI_FORMAT), with @langchain/openai 1.5.8 and openai 6.49.0. With its switch "Enable CORS" it sends
# the same through Obsidian itself, without an origin, and reads the whole stream at its end.
LANGCHAINS_HEADERS = {"user-agent": "langchainjs-openai/1.0.0"} | stainless("6.49.0")
COPILOT = {"model": STYLE, "temperature": 0.1, "stream": True, "messages": [SYSTEM, TURN]}

# Obsidian: Smart Composer 1.2.9 (glowingjade/obsidian-smart-composer 6b38ab3, src/core/llm/
# openaiCompatibleProvider.ts and openaiMessageAdapter.ts), with openai 6.16.0. "Apply" is not streamed.
COMPOSER_HEADERS = {"accept": "application/json", "user-agent": "OpenAI/JS 6.16.0"} | stainless("6.16.0")
COMPOSER_TURNS = [
    {"role": "user", "content": [{"type": "text", "text": "\n\nTell me of the sea.\n\n"}]},
    {"role": "assistant", "content": "The sea is wide."},
    PARTS,
]
COMPOSER = {"model": STYLE, "messages": [SYSTEM, *COMPOSER_TURNS]} | WITH_USAGE
COMPOSER_APPLY = {"model": STYLE, "messages": [SYSTEM, TURN]}

# Obsidian: Local GPT 4.2.2 (pfrankov/obsidian-local-gpt 63cd3bc, src/providerRequest.ts) by AI Providers
# 1.10.0 (pfrankov/obsidian-ai-providers ea51161, src/handlers/OpenAIHandler.ts), with openai 6.33.0 whose
# x-stainless headers it takes away. It asks through Electron, so without an origin, unless
# "Use native Fetch" is on.
LOCAL_GPT_HEADERS = {"accept": "application/json", "user-agent": "OpenAI/JS 6.33.0"}
LOCAL_GPT = {"model": STYLE, "messages": [SYSTEM, TURN], "stream": True, "temperature": 0.2}
# Its button "Check" under "Capabilities" (src/utils/modelCapabilityChecker.ts) asks for a text, an embedding,
# a call and a look at a picture.
PROBE = {
    "model": STYLE,
    "messages": [{"role": "user", "content": "Call the capability_probe tool."}],
    "stream": True,
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "capability_probe",
                "description": "A minimal probe tool for capability checks.",
                "parameters": {"type": "object", "properties": {}},
            },
        }
    ],
    "tool_choice": "required",
}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
LOOK = LOCAL_GPT | {"messages": [{"role": "user", "content": [*PARTS["content"], PICTURE]}]}
EMBEDDING = {"model": STYLE, "input": ["capability check"], "encoding_format": "base64"}

# LibreOffice: WriterAgent 0.8.61 (KeithCu/writeragent f57201e, plugin/framework/client/
# base_provider_shim.py, llm_client.py). Extend Selection, the sidebar with its tools, and its grammar check.
WRITER_AGENT_HEADERS = {"user-agent": "WriterAgent (https://github.com/KeithCu/writeragent)"}
DATED = {"role": "system", "content": "Today's date is Saturday, 2026-08-22."}
WRITER_AGENT = {
    "messages": [DATED, TURN],
    "max_tokens": 1000,
    "temperature": 0.5,
    "top_p": 0.9,
    "stream": True,
    "model": STYLE,
}
DOCUMENT_TOOLS = [
    tool("apply_document_content", content={"type": "array", "items": {"type": "string"}}),
    tool("search_in_document", pattern={"type": "string"}),
]
WRITER_AGENT_SIDEBAR = WRITER_AGENT | {
    "max_tokens": 16384,
    "tools": DOCUMENT_TOOLS,
    "tool_choice": "auto",
    "parallel_tool_calls": False,
}
WRITER_AGENT_GRAMMAR = WRITER_AGENT | {"stream": False, "response_format": {"type": "json_object"}}

# VS Code: Continue 1.3.40 (continuedev/continue d0a3c0b, packages/openai-adapters/src/apis/OpenAI.ts,
# core/llm/openaiTypeConverters.ts), with openai 5.23.2. Its model of a style is `provider: openai`.
CONTINUE_HEADERS = {"accept": "application/json", "user-agent": "OpenAI/JS 5.23.2"} | stainless("5.23.2")
CONTINUE = {"messages": [SYSTEM, TURN], "model": STYLE, "max_tokens": 4096} | WITH_USAGE
CONTINUE_AGENT = CONTINUE | {
    "tools": [tool("read_file", filepath={"type": "string"})],
    "parallel_tool_calls": False,
    "messages": [SYSTEM, TURN, {"role": "assistant", "content": " "}, TURN],
}

# VS Code: Cline 4.1.13 (cline/cline 21cb8d2, sdk/packages/llms/src/providers/vendors/openai-compatible.ts),
# with @ai-sdk/openai-compatible 3.0.92. 32,000 tokens is what it asks for where a model names no maximum.
CLINE_HEADERS = {"user-agent": "ai-sdk-openai-compatible/3.0.92 ai-sdk-provider-utils/5.0.81"}
CLINE = {
    "model": STYLE,
    "max_tokens": 32000,
    "temperature": 0,
    "messages": [SYSTEM, TURN, {"role": "assistant", "content": "Wet."}, PARTS],
    "tools": [tool("read_files", paths={"type": "array", "items": {"type": "string"}})],
    "tool_choice": "auto",
} | WITH_USAGE

# Open WebUI 0.12.4 (open_webui/routers/openai.py, utils/middleware.py, routers/tasks.py): a chat with its
# built-in tools, then the title, tags and further questions, each a request that is not streamed.
OPEN_WEBUI_HEADERS = {"content-type": "application/json", "user-agent": "Python/3.12 aiohttp/3.13.2"}
OPEN_WEBUI = {
    "stream": True,
    "model": STYLE,
    "messages": [TURN],
    "tools": [tool("get_current_timestamp"), tool("calculate_timestamp", days_ago={"type": "integer"})],
}
OPEN_WEBUI_TITLE = {"model": STYLE, "messages": [TURN], "stream": False}

# LibreChat: @librechat/agents 3.9.2, as packages/api/src/endpoints/custom/initialize.ts calls it (023696c).
LIBRECHAT = {"model": STYLE, "user": "674f1f77bcf86cd799439011", "messages": [SYSTEM, TURN]} | WITH_USAGE

VERSIONS = {
    "Obsidian, Copilot": "4.0.2",
    "Obsidian, Smart Composer": "1.2.9",
    "Obsidian, Local GPT": "4.2.2",
    "Obsidian, AI Providers": "1.10.0",
    "LibreOffice, WriterAgent": "0.8.61",
    "VS Code, Continue": "1.3.40",
    "VS Code, Cline": "4.1.13",
    "Open WebUI": "0.12.4",
    "LibreChat, agents package": "3.9.2",
}
# One of each program, which the journey asks of a real engine.
FIRST = (
    Recorded("obsidian-copilot", COPILOT, LANGCHAINS_HEADERS, is_page=True),
    Recorded("obsidian-smart-composer", COMPOSER, COMPOSER_HEADERS, is_page=True),
    Recorded("obsidian-local-gpt", LOCAL_GPT, LOCAL_GPT_HEADERS, is_page=True),
    Recorded("libreoffice-writeragent", WRITER_AGENT_SIDEBAR, WRITER_AGENT_HEADERS),
    Recorded("vscode-continue", CONTINUE_AGENT, CONTINUE_HEADERS),
    Recorded("vscode-cline", CLINE, CLINE_HEADERS),
    Recorded("open-webui", OPEN_WEBUI, OPEN_WEBUI_HEADERS),
    Recorded("librechat", LIBRECHAT, LANGCHAINS_HEADERS),
)
ALL = (
    *FIRST,
    Recorded("obsidian-smart-composer-apply", COMPOSER_APPLY, COMPOSER_HEADERS, is_page=True),
    Recorded("libreoffice-writeragent-extend", WRITER_AGENT, WRITER_AGENT_HEADERS),
    Recorded("libreoffice-writeragent-grammar", WRITER_AGENT_GRAMMAR, WRITER_AGENT_HEADERS),
    Recorded("vscode-continue-chat", CONTINUE, CONTINUE_HEADERS),
    Recorded("open-webui-title", OPEN_WEBUI_TITLE, OPEN_WEBUI_HEADERS),
)


def name_of(recorded: Recorded) -> str:
    """Return what a test of it is called."""
    return recorded.program
