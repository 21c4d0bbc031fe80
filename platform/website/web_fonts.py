"""The site's fonts: small WOFF2 files, made of installed packages' TrueType files at the first request.

`collectstatic` and WhiteNoise find them by `WebFontFinder`. Making them takes seconds and a few megabytes of
fontTools, so a process of its own does it: `python -m website.make_web_fonts FOLDER`.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage

PREFIX = "fonts"
# Latin as Western and Central European languages write it, punctuation, currencies, arrows.
RANGES = "U+0020-007E,U+00A0-017F,U+2010-2026,U+2030-203A,U+20AC,U+2122,U+2190-2193,U+2212,U+2260,U+2264-2265"


@dataclass(frozen=True)
class WebFont:
    """One file that pages load, and what it is made of."""

    name: str
    package: str
    source: str
    family: str  # the source's own name is reserved to its unchanged files (OFL, section 3)


FONTS = (
    WebFont("sans-400", "font-source-sans-pro", "SourceSansPro-Regular.ttf", "Polyscribe Sans"),
    WebFont("sans-600", "font-source-sans-pro", "SourceSansPro-Semibold.ttf", "Polyscribe Sans"),
    WebFont("serif-400", "font-source-serif-pro", "SourceSerifPro-Regular.ttf", "Polyscribe Serif"),
)


class WebFontFinder(BaseFinder):
    """Finds `fonts/NAME.woff2`, and makes the files before."""

    def find(self, path: str, find_all: bool = False, **_: Any) -> Any:
        """Return where a font lies on disk; nothing for other files."""
        names = {f"{PREFIX}/{font.name}.woff2" for font in FONTS}
        if path not in names:
            return []
        found = str(made_fonts() / path.removeprefix(f"{PREFIX}/"))
        return [found] if find_all else found

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, FileSystemStorage]]:
        """Yield every font and its storage."""
        storage = FileSystemStorage(location=made_fonts())
        storage.prefix = PREFIX  # type: ignore[attr-defined]  # staticfiles' own convention
        for font in FONTS:
            yield f"{font.name}.woff2", storage


def made_fonts() -> Path:
    """Return the folder of the fonts. They are made once for each version of what they are made of."""
    folder: Path = settings.BASE_DIR / "var" / "fonts" / _recipe()
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            making = Path(temporary) / "made"
            making.mkdir()
            _make_elsewhere(making)
            _take_over(making, folder)
    return folder


def _recipe() -> str:
    parts = [RANGES, *(repr((astuple(font), version(font.package))) for font in FONTS)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _make_elsewhere(folder: Path) -> None:
    path = os.pathsep.join([str(settings.BASE_DIR / "platform"), str(settings.BASE_DIR)])
    command = [sys.executable, "-m", "website.make_web_fonts", str(folder)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": path})


def _take_over(making: Path, folder: Path) -> None:
    try:
        making.rename(folder)
    except OSError:
        if not folder.is_dir():  # no other process was first
            raise


def source_of(font: WebFont) -> Path:
    """Return the TrueType file in its package. Raises FileNotFoundError."""
    spec = find_spec(font.package.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise FileNotFoundError(font.package)
    return Path(spec.origin).parent / "files" / font.source
