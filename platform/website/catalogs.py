"""The catalogues of translations: which messages the sources have, and the files that translate them.

`make translations` writes the files anew and lists what is open, also which guides changed since they were
translated; with `ARGS=--check` it only looks. It needs no program of GNU gettext: Babel reads Python and
JavaScript, Django turns a template's tags into calls.
"""

import ast
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

PROJECT_ROOT = Path(__file__).parents[2]
LOCALE = PROJECT_ROOT / "locale"
# Each app is a folder at the top, and `platform` has several.
ROOTS = (*sorted(path.parent.name for path in PROJECT_ROOT.glob("*/__init__.py")), "platform")
# Operators and programs read these, and they stay English; migrations only repeat models.
LEFT_OUT = ("migrations", "management", "admin", "api", "backup", "doctor")
CONSOLE_TEMPLATES = ("templates/admin/", "templates/unfold/")
KEYWORDS: dict[str, tuple[int | tuple[int, str], ...] | None] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
# What Django makes of a template's tags: ` gettext(u'…') ` and the like.
TEXT = r"""u?'(?:[^'\\]|\\.)*'|u?"(?:[^"\\]|\\.)*\""""
CALL = re.compile(rf" (n?p?gettext|_)\(((?:(?:{TEXT}),? ?)+)(?:count)?\) ")
MessageId = str | tuple[str, ...]


@dataclass
class Drift:
    """How the files of one language differ from what the sources say."""

    outdated: dict[Path, bytes] = field(default_factory=dict)  # what each file should be
    open: list[str] = field(default_factory=list)  # messages without a translation


def languages() -> list[str]:
    """Return the codes of the languages that have catalogues."""
    return sorted(folder.parent.name for folder in LOCALE.glob("*/LC_MESSAGES"))


def update(language: str) -> Drift:
    """Write the catalogues of a language anew; translations of messages that are still there stay."""
    drift = compare(language)
    for path, wanted in drift.outdated.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wanted)
    return drift


def compare(language: str) -> Drift:
    """Return which files would change, and which messages are open."""
    drift = Drift()
    for domain in ("django", "djangojs"):
        path = LOCALE / language / "LC_MESSAGES" / f"{domain}.po"
        wanted = _merged(path, language)
        if not path.exists() or path.read_bytes() != wanted:
            drift.outdated[path] = wanted
        drift.open += [
            _key(message.id) for message in read_messages(wanted, language) if not is_done(message)
        ]
    return drift


def changed_guides(language: str) -> dict[str, str]:
    """Return the English guides that changed since their translation, and what SHA-256 each has now.

    `docs/de/team.md` is the German text of `docs/team.md`. `locale/de/guides.json` holds the SHA-256 of the
    English text that each was translated from.
    """
    record = LOCALE / language / "guides.json"
    known = json.loads(record.read_text()) if record.exists() else {}
    changed = {}
    for translation in sorted((PROJECT_ROOT / "docs" / language).glob("*.md")):
        path = f"docs/{translation.name}"
        digest = hashlib.sha256((PROJECT_ROOT / path).read_bytes()).hexdigest()
        if known.get(path) != digest:
            changed[path] = digest
    return changed


def read_messages(content: bytes, language: str) -> list[Message]:
    """Return the messages of a .po file, without its header."""
    return [message for message in read_po(BytesIO(content), locale=language) if message.id]


def is_done(message: Message) -> bool:
    """Return whether a message has its translation, all plural forms of it, by a person."""
    forms = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
    return all(forms) and not message.fuzzy


def find_messages(domain: str) -> Iterator[tuple[MessageId, str | None]]:
    """Yield each message of the sources, with its context."""
    if domain == "djangojs":
        for path in sorted((PROJECT_ROOT / "static" / "js").rglob("*.js")):
            yield from _of_code(path, "javascript")
        return
    sources = [
        path for root in ROOTS for path in sorted((PROJECT_ROOT / root).rglob("*.py")) if _is_read(path)
    ]
    for path in sources:
        yield from _of_code(path, "python")
    yield from _of_errors(sources)
    for path in sorted((PROJECT_ROOT / "templates").rglob("*")):
        is_template = path.suffix in (".html", ".txt")
        if is_template and not path.relative_to(PROJECT_ROOT).as_posix().startswith(CONSOLE_TEMPLATES):
            yield from _of_template(path)


def _is_read(path: Path) -> bool:
    return not set(path.relative_to(PROJECT_ROOT).with_suffix("").parts) & set(LEFT_OUT)


def _of_code(path: Path, language: str) -> Iterator[tuple[MessageId, str | None]]:
    with path.open("rb") as file:
        options = {"encoding": "utf-8", "parse_template_string": False}
        for _, message, _, context in extract(language, file, keywords=KEYWORDS, options=options):
            yield message, context


def _of_template(path: Path) -> Iterator[tuple[MessageId, str | None]]:
    for call in CALL.finditer(templatize(path.read_text(), origin=str(path))):
        texts = [ast.literal_eval(text) for text in re.findall(TEXT, call[2])]
        context = texts.pop(0) if "pgettext" in call[1] else None
        yield (texts[0], texts[1]) if call[1].startswith("n") else texts[0], context


def _of_errors(sources: Iterable[Path]) -> Iterator[tuple[MessageId, str | None]]:
    """Yield the messages of domain errors: their docstrings."""
    classes: list[ast.ClassDef] = []
    for path in sources:
        classes += [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
    errors = {"DomainError"}
    while children := {one.name for one in classes if _has_base(one, errors)} - errors:
        errors |= children
    for one in classes:
        docstring = ast.get_docstring(one)
        if one.name in errors and docstring:
            yield " ".join(docstring.split()), None


def _has_base(kind: ast.ClassDef, names: set[str]) -> bool:
    return any(ast.unparse(base).rpartition(".")[2] in names for base in kind.bases)


def _merged(path: Path, language: str) -> bytes:
    """Return what a .po file should be: the sources' messages by their text, with its translations."""
    found = set(find_messages(path.stem))
    sources = Catalog()
    for message, context in sorted(found, key=lambda one: (_key(one[0]), one[1] or "")):
        sources.add(message, context=context)
    content = path.read_bytes() if path.exists() else b""
    catalog = read_po(BytesIO(content), locale=language)
    catalog.update(sources, no_fuzzy_matching=True)
    out = BytesIO()
    write_po(out, catalog, width=100, omit_header=True, ignore_obsolete=True)
    return HEADER.format(language=language, plural=catalog.plural_forms).encode() + out.getvalue()


HEADER = """# Made by `make translations`: people change the msgstr only.
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plural}\\n"

"""


def _key(message: MessageId | list[str]) -> str:
    return message if isinstance(message, str) else message[0]


def main() -> int:
    """Write the files, or with `--check` only compare them; return 1 where a check finds something."""
    is_check = "--check" in sys.argv[1:]
    faults = 0
    for language in languages():
        drift = compare(language) if is_check else update(language)
        for path in drift.outdated:
            print(
                f"{path.relative_to(PROJECT_ROOT)}: {'differs from the sources' if is_check else 'written'}"
            )
        for message in drift.open:
            print(f"{language}: not translated: {message}")
        changed = changed_guides(language)
        for guide, digest in changed.items():
            print(f"{language}: {guide} is not the text that was translated; once it is: {digest}")
        faults += len(drift.outdated) + len(drift.open) + len(changed)
    return int(is_check and faults > 0)


if __name__ == "__main__":
    sys.exit(main())
