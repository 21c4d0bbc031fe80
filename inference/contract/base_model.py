"""What the gateway knows of the base model by its files: tokenizer, vocabulary, and chat template.

All of it is None, or as if unknown, where the files are not on this machine: then the engine decides.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

if TYPE_CHECKING:
    from jinja2 import Template
    from tokenizers import Tokenizer

TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")


def tokenizer() -> "Tokenizer | None":
    """Return the base model's tokenizer."""
    path = settings.BASE_MODEL_DIR / "tokenizer.json"
    return _load_tokenizer(path) if path.exists() else None


def vocabulary_size() -> int | None:
    """Return how many tokens the base model knows: ids are below it."""
    path = settings.BASE_MODEL_DIR / "config.json"
    return _read_vocabulary_size(path) if path.exists() else None


def has_tools() -> bool:
    """Return False where the chat template is known and shows no tools to the model."""
    source = _find_template(settings.BASE_MODEL_DIR)
    return source is None or _names_tools(source)


def render_prompt(messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None) -> str | None:
    """Return the prompt that vLLM makes of a chat, with the template and the settings that it uses.

    None where there is no template, or the template refuses the chat: the engine then says so itself.
    """
    from jinja2 import TemplateError  # noqa: PLC0415  only where tokens are counted

    source = _find_template(settings.BASE_MODEL_DIR)
    if source is None:
        return None
    if "'developer'" not in source and '"developer"' not in source:
        messages = _with_one_system(messages)
    try:
        return _compile(source).render(
            messages=messages, tools=tools, documents=None, add_generation_prompt=True,
            **_special_tokens(settings.BASE_MODEL_DIR),
        )  # fmt: skip
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError):
        return None


def _with_one_system(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages with developer's as system's, as vLLM does for a template that knows none.

    It then moves all system messages into one at the top, unless only the first is one.
    """
    if not any(message["role"] == "developer" for message in messages):
        return messages
    turned = [m | {"role": "system"} if m["role"] == "developer" else m for m in messages]
    if not any(message["role"] == "system" for message in turned[1:]):
        return turned
    texts = [message["content"] for message in turned if message["role"] == "system"]
    merged = {"role": "system", "content": "\n\n".join(text for text in texts if text)}
    return [merged, *(message for message in turned if message["role"] != "system")]


@cache
def _load_tokenizer(path: Path) -> "Tokenizer":
    from tokenizers import Tokenizer  # noqa: PLC0415  only where a byte bound was too crude

    return Tokenizer.from_file(str(path))


@cache
def _read_vocabulary_size(path: Path) -> int | None:
    config = json.loads(path.read_text())
    size = config.get("vocab_size") or config.get("text_config", {}).get("vocab_size")
    return size if isinstance(size, int) else None


def _find_template(folder: Path) -> str | None:
    """Return the chat template's text, from where transformers looks for it."""
    path = folder / "chat_template.jinja"
    if path.exists():
        return _read(path)
    settings_path = folder / "tokenizer_config.json"
    template = _read_json(settings_path).get("chat_template") if settings_path.exists() else None
    if isinstance(template, list):  # several by name
        named = {each.get("name"): each.get("template") for each in template}
        template = named.get("default")
    return template if isinstance(template, str) else None


@cache
def _read(path: Path) -> str:
    return path.read_text()


@cache
def _read_json(path: Path) -> Mapping[str, Any]:
    value = json.loads(path.read_text())
    return value if isinstance(value, dict) else {}


def _special_tokens(folder: Path) -> dict[str, str]:
    path = folder / "tokenizer_config.json"
    told = _read_json(path) if path.exists() else {}
    texts = {}
    for name in TOKENS:
        value = told.get(name)
        text = value.get("content") if isinstance(value, dict) else value
        if isinstance(text, str):
            texts[name] = text
    return texts


@cache
def _names_tools(source: str) -> bool:
    from jinja2 import meta  # noqa: PLC0415

    return "tools" in meta.find_undeclared_variables(_environment().parse(source))


@cache
def _compile(source: str) -> "Template":
    template: Template = _environment().from_string(source)
    return template


def _environment() -> Any:
    """Return an environment like the one of transformers' `apply_chat_template`."""
    from jinja2 import TemplateError, ext  # noqa: PLC0415
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **more: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **more)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[ext.loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)  # noqa: DTZ005  as vLLM does
    return environment
