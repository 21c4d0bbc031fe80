"""What the gateway reads from the base model's files: tokenizer, vocabulary, and chat template.

Where the files are not on this machine, nothing is known and the engine decides.
"""

import json
import re
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from inference.facts import JsonObject

if TYPE_CHECKING:
    from jinja2 import Template
    from tokenizers import Tokenizer

SYSTEM_ROLES = {"system", "developer"}
SHORTENS = re.compile(r"trim|strip|split|replace")  # Jinja's filters and Python's methods in a template
SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
# The others are paths, or arguments of Python classes.
TOKENIZER_SETTINGS = ("tokenizer_class", "add_bos_token", "add_eos_token", "clean_up_tokenization_spaces")


def tokenizer() -> "Tokenizer | None":
    """Return the base model's tokenizer, or None."""
    path = settings.BASE_MODEL_DIR / "tokenizer.json"
    return _load_tokenizer(path) if path.exists() else None


def describe_tokenizer() -> JsonObject:
    """Return what clients read of the tokenizer's settings, and the chat template, None without one."""
    config = _read_tokenizer_config(settings.BASE_MODEL_DIR)
    described = {name: config[name] for name in TOKENIZER_SETTINGS if name in config}
    template = _find_template(settings.BASE_MODEL_DIR)
    special_tokens = dict.fromkeys(SPECIAL_TOKENS) | _read_special_tokens(settings.BASE_MODEL_DIR)
    return described | special_tokens | {"chat_template": template}


def vocabulary_size() -> int | None:
    """Return how many tokens the base model knows, or None. Their ids are below that number."""
    path = settings.BASE_MODEL_DIR / "config.json"
    return _read_vocabulary_size(path) if path.exists() else None


def has_tools() -> bool:
    """Return whether the chat template shows tools to the model; True where the template is not known."""
    template = _find_template(settings.BASE_MODEL_DIR)
    return template is None or "tools" in _variables_of(template)


def reads_variable(name: str) -> bool:
    """Return whether the chat template reads a variable; False where the template is not known."""
    template = _find_template(settings.BASE_MODEL_DIR)
    return template is not None and name in _variables_of(template)


def keeps_blanks() -> bool:
    """Return whether the chat template leaves the blanks at a text's ends; False where it is not known."""
    template = _find_template(settings.BASE_MODEL_DIR)
    return template is not None and not SHORTENS.search(template)


def render_prompt(messages: list[JsonObject], tools: list[JsonObject] | None) -> str | None:
    """Return the prompt that vLLM makes of a chat, with the same template and settings.

    None where there is no template, or where the template refuses the chat: then the engine answers with the
    error.
    """
    from jinja2 import TemplateError  # noqa: PLC0415  only where tokens are counted

    template = _find_template(settings.BASE_MODEL_DIR)
    if template is None:
        return None
    if "'developer'" not in template and '"developer"' not in template:
        messages = _merge_system_messages(messages)
    try:
        return _compile_template(template).render(
            messages=messages,
            tools=tools,
            documents=None,
            add_generation_prompt=True,
            **_read_special_tokens(settings.BASE_MODEL_DIR),
        )
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError):
        return None


def _merge_system_messages(messages: list[JsonObject]) -> list[JsonObject]:
    """Return the messages with developer messages as system messages, as vLLM does it.

    vLLM does so where the template doesn't know that role. It then merges all system messages into one at the
    top, unless only the first message is one.
    """
    roles = [message["role"] for message in messages]
    if "developer" not in roles:
        return messages
    if not SYSTEM_ROLES.intersection(roles[1:]):
        return [messages[0] | {"role": "system"}, *messages[1:]]
    others = [message for message in messages if message["role"] not in SYSTEM_ROLES]
    texts = [message["content"] for message in messages if message["role"] in SYSTEM_ROLES]
    return [{"role": "system", "content": "\n\n".join(filter(None, texts))}, *others]


@cache
def _load_tokenizer(path: Path) -> "Tokenizer":
    from tokenizers import Tokenizer  # noqa: PLC0415  only where tokens are counted

    return Tokenizer.from_file(str(path))


@cache
def _read_vocabulary_size(path: Path) -> int | None:
    config = json.loads(path.read_text())
    size = config.get("vocab_size") or config.get("text_config", {}).get("vocab_size")
    return size if isinstance(size, int) else None


def _find_template(folder: Path) -> str | None:
    """Return the chat template's text, from where transformers looks for it, or None."""
    path = folder / "chat_template.jinja"
    if path.exists():
        return _read_text(path)
    template = _read_tokenizer_config(folder).get("chat_template")
    if isinstance(template, list):  # several, by name
        by_name = {entry.get("name"): entry.get("template") for entry in template}
        template = by_name.get("default")
    return template if isinstance(template, str) else None


def _read_special_tokens(folder: Path) -> dict[str, str]:
    config = _read_tokenizer_config(folder)
    tokens = {}
    for name in SPECIAL_TOKENS:
        value = config.get(name)
        text = value.get("content") if isinstance(value, dict) else value
        if isinstance(text, str):
            tokens[name] = text
    return tokens


def _read_tokenizer_config(folder: Path) -> JsonObject:
    path = folder / "tokenizer_config.json"
    return _read_json(path) if path.exists() else {}


@cache
def _read_text(path: Path) -> str:
    return path.read_text()


@cache
def _read_json(path: Path) -> JsonObject:
    value = json.loads(path.read_text())
    return value if isinstance(value, dict) else {}


@cache
def _variables_of(template: str) -> set[str]:
    from jinja2 import meta  # noqa: PLC0415

    syntax_tree = _template_environment().parse(template)
    return meta.find_undeclared_variables(syntax_tree)


@cache
def _compile_template(source: str) -> "Template":
    template: Template = _template_environment().from_string(source)
    return template


def _template_environment() -> Any:
    """Return a Jinja environment like the one of transformers' `apply_chat_template`."""
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
