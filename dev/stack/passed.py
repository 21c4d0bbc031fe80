"""Checks that need not be repeated: what passed is not read again before it, or what reads it, changes."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from stack.folders import ROOT

FOLDER = ROOT / "var" / "passed"


def once(name: str, files: Iterable[Path], check: Callable[[], int]) -> int:
    """Return 0 if a check passed on these files before, else what it returns now."""
    digest = digest_of(sorted(files))
    stamp = FOLDER / f"{name}.sha256"
    if stamp.exists() and stamp.read_text() == digest:
        return 0
    code = check()
    if code == 0:
        FOLDER.mkdir(parents=True, exist_ok=True)
        stamp.write_text(digest)
    return code


def digest_of(files: Iterable[Path]) -> str:
    """Return the SHA-256 of what stands in some files."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()
