"""Code that calls an operation of the API: curl, Python and JavaScript, with the key from the environment.

Where OpenAI's or Anthropic's client has the operation, that is used; elsewhere `requests` and `fetch`.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from website.snippets import KEY_VARIABLE

MAX_LINE = 72  # characters of a literal that stays on one line
UPLOADED = "chats.jsonl"
DOWNLOADS = {"application/pdf": "document.pdf", "application/octet-stream": "content.jsonl"}
EVENT_STREAM = "text/event-stream"
OPENAI = {
    "chat.completions.create": "chat.completions.create",
    "completions.create": "completions.create",
    "responses.create": "responses.create",
    "responses.input_tokens.create": "responses.input_tokens.count",
    "responses.get": "responses.retrieve",
    "responses.delete": "responses.delete",
    "responses.cancel": "responses.cancel",
    "responses.input_items": "responses.input_items.list",
    "conversations.create": "conversations.create",
    "conversations.get": "conversations.retrieve",
    "conversations.update": "conversations.update",
    "conversations.delete": "conversations.delete",
    "conversations.items": "conversations.items.list",
    "conversations.add_items": "conversations.items.create",
    "models.list": "models.list",
    "models.get": "models.retrieve",
    "files.list": "files.list",
    "files.create": "files.create",
    "files.get": "files.retrieve",
    "files.delete": "files.delete",
    "files.content": "files.content",
    "fine_tuning.jobs.list": "fine_tuning.jobs.list",
    "fine_tuning.jobs.create": "fine_tuning.jobs.create",
    "fine_tuning.jobs.get": "fine_tuning.jobs.retrieve",
    "fine_tuning.jobs.cancel": "fine_tuning.jobs.cancel",
    "fine_tuning.jobs.checkpoints": "fine_tuning.jobs.checkpoints.list",
    "fine_tuning.jobs.events": "fine_tuning.jobs.list_events",
    "fine_tuning.jobs.pause": "fine_tuning.jobs.pause",
    "fine_tuning.jobs.resume": "fine_tuning.jobs.resume",
}
ANTHROPIC = {
    "messages.create": "messages.create",
    "messages.count_tokens.create": "messages.count_tokens",
}
PRINTED = {  # what of a client's answer is text; of others, the whole is printed
    "chat.completions.create": "choices[0].message.content",
    "completions.create": "choices[0].text",
    "responses.create": "output_text",
    "messages.create": "content[0].text",
    "files.content": "text",
}


@dataclass(frozen=True)
class Syntax:
    """How a language writes literals."""

    indent: str
    space_in_braces: str
    words: dict[bool | None, str]


PYTHON = Syntax(indent="    ", space_in_braces="", words={True: "True", False: "False", None: "None"})
JAVASCRIPT = Syntax(indent="  ", space_in_braces=" ", words={True: "true", False: "false", None: "null"})


@dataclass(frozen=True)
class Call:
    """One operation with an example of what is sent. `media_types`: those of a successful response."""

    id: str
    method: str
    path: str
    site: str
    body: Any
    media_types: tuple[str, ...]
    is_upload: bool
    needs_key: bool

    @property
    def address(self) -> str:
        """Return the URL, with what is to be filled in in capitals."""
        return self.site + re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), self.path)

    @property
    def arguments(self) -> list[str]:
        return [name.upper() for name in re.findall(r"\{(\w+)\}", self.path)]

    @property
    def is_stream(self) -> bool:
        return self.media_types == (EVENT_STREAM,)

    @property
    def download(self) -> str:
        """Return the name of the file that a response is saved as, or ""."""
        return next((DOWNLOADS[kind] for kind in self.media_types if kind in DOWNLOADS), "")


@dataclass(frozen=True)
class Sample:
    """A call in one language."""

    language: str
    name: str
    text: str


def write_samples(call: Call) -> tuple[Sample, ...]:
    """Return the samples of one operation, as a page shows them."""
    return (
        Sample("curl", "curl", write_curl(call)),
        Sample("python", "Python", write_python(call)),
        Sample("javascript", "JavaScript", write_javascript(call)),
    )


def write_curl(call: Call) -> str:
    """Return a command for a POSIX shell."""
    options = ["-N "] if call.is_stream else []
    implied = "POST" if call.body is not None or call.is_upload else "GET"
    if call.method != implied:
        options.append(f"-X {call.method} ")
    lines = [f"curl {''.join(options)}{call.address}"]
    if call.needs_key:
        lines.append(f'-H "Authorization: Bearer ${KEY_VARIABLE}"')
    if call.body is not None:
        body = json.dumps(call.body, ensure_ascii=False).replace("'", "'\\''")
        lines += ['-H "Content-Type: application/json"', f"-d '{body}'"]
    if call.is_upload:
        lines += ["-F purpose=fine-tune", f"-F file=@{UPLOADED}"]
    if call.download:
        lines.append(f"--output {call.download}")
    return " \\\n  ".join(lines)


def write_python(call: Call) -> str:
    """Return a Python program."""
    method = OPENAI.get(call.id) or ANTHROPIC.get(call.id)
    return "\n".join(_client_python(call, method) if method else _plain_python(call))


def write_javascript(call: Call) -> str:
    """Return a JavaScript module for Node."""
    method = OPENAI.get(call.id) or ANTHROPIC.get(call.id)
    return "\n".join(_client_javascript(call, method) if method else _plain_javascript(call))


def _client_python(call: Call, method: str) -> Iterator[str]:
    package, client = ("anthropic", "Anthropic") if call.id in ANTHROPIC else ("openai", "OpenAI")
    yield "import os"
    yield ""
    yield f"from {package} import {client}"
    yield ""
    yield f'client = {client}(base_url="{_base_of(call)}", api_key=os.environ["{KEY_VARIABLE}"])'
    arguments = [_quote(name) for name in call.arguments]
    if call.is_upload:
        arguments += [f'file=open("{UPLOADED}", "rb")', 'purpose="fine-tune"']
    arguments += [f"{name}={_as_python(value, 1)}" for name, value in (call.body or {}).items()]
    yield f"response = client.{method}({_spread(arguments, indent='    ')})"
    printed = PRINTED.get(call.id)
    yield f"print(response.{printed})" if printed else "print(response)"


def _client_javascript(call: Call, method: str) -> Iterator[str]:
    package, client = ("@anthropic-ai/sdk", "Anthropic") if call.id in ANTHROPIC else ("openai", "OpenAI")
    if call.is_upload:
        yield 'import { createReadStream } from "node:fs";'
    yield f'import {client} from "{package}";'
    yield ""
    yield f"const client = new {client}({{"
    yield f'  baseURL: "{_base_of(call)}",'
    yield f"  apiKey: process.env.{KEY_VARIABLE},"
    yield "});"
    arguments = [_quote(name) for name in call.arguments]
    if call.is_upload:
        arguments.append(f'{{ file: createReadStream("{UPLOADED}"), purpose: "fine-tune" }}')
    if call.body is not None:
        arguments.append(_as_javascript(call.body))
    camel_case = re.sub(r"_(\w)", lambda found: found[1].upper(), method)
    yield f"const response = await client.{camel_case}({', '.join(arguments)});"
    printed = PRINTED.get(call.id, "")
    if call.id == "files.content":
        printed = "text()"
    what = f"response.{printed}" if printed else "response"
    yield f"console.log({'await ' if printed.endswith('()') else ''}{what});"


def _plain_python(call: Call) -> Iterator[str]:
    yield "import os"
    if call.download:
        yield "from pathlib import Path"
    yield ""
    yield "import requests"
    yield ""
    arguments = [_quote(call.address)]
    if call.needs_key:
        arguments.append(f'headers={{"Authorization": f"Bearer {{os.environ[\'{KEY_VARIABLE}\']}}"}}')
    if call.body is not None:
        arguments.append(f"json={_as_python(call.body, 1)}")
    if call.is_stream:
        arguments.append("stream=True")
    yield f"response = requests.{call.method.lower()}({_spread(arguments, indent='    ')})"
    yield "response.raise_for_status()"
    if call.is_stream:
        yield "for line in response.iter_lines(decode_unicode=True):"
        yield "    print(line)"
    elif call.download:
        yield f'Path("{call.download}").write_bytes(response.content)'
    elif call.media_types:
        yield "print(response.json())"


def _plain_javascript(call: Call) -> Iterator[str]:
    if call.download:
        yield 'import { writeFile } from "node:fs/promises";'
        yield ""
    options = [f'method: "{call.method}"'] if call.method != "GET" else []
    headers = [f"Authorization: `Bearer ${{process.env.{KEY_VARIABLE}}}`"] if call.needs_key else []
    if call.body is not None:
        headers.append('"Content-Type": "application/json"')
    if headers:
        options.append(f"headers: {_enclose('{}', headers, 1, JAVASCRIPT)}")
    if call.body is not None:
        options.append(f"body: JSON.stringify({_as_javascript(call.body, 1)})")
    inner = "".join(f"  {option},\n" for option in options)
    given = f", {{\n{inner}}}" if options else ""
    yield f"const response = await fetch({_quote(call.address)}{given});"
    yield "if (!response.ok) throw new Error(await response.text());"
    if call.is_stream:
        yield "for await (const text of response.body.pipeThrough(new TextDecoderStream())) {"
        yield "  console.log(text);"
        yield "}"
    elif call.download:
        yield f'await writeFile("{call.download}", Buffer.from(await response.arrayBuffer()));'
    elif call.media_types:
        yield "console.log(await response.json());"


def _base_of(call: Call) -> str:
    """Return the base URL that a client takes: OpenAI's with the version, Anthropic's without."""
    return call.site if call.id in ANTHROPIC else f"{call.site}/v1"


def _spread(arguments: Sequence[str], *, indent: str) -> str:
    """Return arguments on one line where they are short, else on one line each."""
    line = ", ".join(arguments)
    if len(line) <= MAX_LINE and "\n" not in line:
        return line
    lines = "".join(f"{indent}{argument},\n" for argument in arguments)
    return f"\n{lines}"


def _as_python(value: Any, level: int) -> str:
    """Return a literal of Python."""
    return _as_literal(value, level, PYTHON)


def _as_javascript(value: Any, level: int = 0) -> str:
    """Return a literal of JavaScript, with names as they are written by hand."""
    return re.sub(r'(^|[{\n ])"([A-Za-z_]\w*)": ', r"\1\2: ", _as_literal(value, level, JAVASCRIPT))


def _as_literal(value: Any, level: int, syntax: Syntax) -> str:
    if value is None or isinstance(value, bool):
        return syntax.words[value]
    if isinstance(value, dict):
        parts = [f"{_quote(name)}: {_as_literal(inner, level + 1, syntax)}" for name, inner in value.items()]
        return _enclose("{}", parts, level, syntax)
    if isinstance(value, list):
        parts = [_as_literal(inner, level + 1, syntax) for inner in value]
        return _enclose("[]", parts, level, syntax)
    return json.dumps(value, ensure_ascii=False)


def _enclose(brackets: str, parts: Sequence[str], level: int, syntax: Syntax) -> str:
    space = syntax.space_in_braces if brackets == "{}" and parts else ""
    line = f"{brackets[0]}{space}{', '.join(parts)}{space}{brackets[1]}"
    if len(line) <= MAX_LINE and "\n" not in line:
        return line
    lines = "".join(f"{syntax.indent * (level + 1)}{part},\n" for part in parts)
    return f"{brackets[0]}\n{lines}{syntax.indent * level}{brackets[1]}"


def _quote(text: str) -> str:
    """Return a text as a literal of both languages, which JSON's strings are."""
    return json.dumps(text, ensure_ascii=False)
