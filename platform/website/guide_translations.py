"""Which guides are translated: `docs/de/team.md` is the German text of `docs/team.md`.

`locale/de/guides.json` holds the SHA-256 of the English text that each was translated from, so that a test
and `make translations` say which guide changed since.
"""

import hashlib
import json
import posixpath

from core.project_root import PROJECT_ROOT

DOCS = "docs"


def translation_of(path: str, language: str) -> str:
    """Return where the text of a file of docs/ stands in a language, whether it is there or not."""
    return f"{DOCS}/{language}/{posixpath.basename(path)}"


def original_of(path: str, language: str) -> str:
    """Return the path of the English text of a translated file; any other path as it is."""
    folder, name = posixpath.split(path)
    return f"{DOCS}/{name}" if folder == f"{DOCS}/{language}" else path


def translated_guides(language: str) -> list[str]:
    """Return the English files that are translated into a language."""
    return [f"{DOCS}/{file.name}" for file in sorted((PROJECT_ROOT / DOCS / language).glob("*.md"))]


def changed_guides(language: str) -> dict[str, str]:
    """Return the English files that changed since their translation, and what SHA-256 each has now."""
    record = PROJECT_ROOT / "locale" / language / "guides.json"
    known = json.loads(record.read_text()) if record.exists() else {}
    digests = {path: digest_of(path) for path in translated_guides(language)}
    return {path: digest for path, digest in digests.items() if known.get(path) != digest}


def digest_of(path: str) -> str:
    """Return the SHA-256 of a file, in hex."""
    return hashlib.sha256((PROJECT_ROOT / path).read_bytes()).hexdigest()
