"""Make the site's fonts, small WOFF2 files in static/fonts/: `python dev/stack/web_fonts.py`.

A build makes them once, as it compiles the translations; nothing that serves needs fontTools.
"""

from importlib.util import find_spec
from pathlib import Path

from fontTools.subset import Options, Subsetter, parse_unicodes
from fontTools.ttLib import TTFont

FOLDER = Path(__file__).resolve().parents[2] / "static" / "fonts"
# Latin as Western and Central European languages write it, punctuation, currencies, arrows.
RANGES = "0020-007E,00A0-017F,2010-2026,2030-203A,20AC,2122,2190-2193,2212,2260,2264-2265"
FEATURES = ["kern", "liga", "calt", "ccmp", "locl", "mark", "mkmk", "tnum", "lnum", "pnum"]
# The sources' own names are reserved to their unchanged files (OFL, section 3): each gets a name of ours.
FONTS = {
    "sans-400": ("font_source_sans_pro", "SourceSansPro-Regular.ttf", "Polyscribe Sans"),
    "sans-600": ("font_source_sans_pro", "SourceSansPro-Semibold.ttf", "Polyscribe Sans"),
    "serif-400": ("font_source_serif_pro", "SourceSerifPro-Regular.ttf", "Polyscribe Serif"),
}
FAMILY, FULL_NAME, POSTSCRIPT_NAME, PREFERRED_FAMILY = 1, 4, 6, 16  # of OpenType's name table


def main() -> None:
    """Write every font."""
    FOLDER.mkdir(exist_ok=True)
    for name, (package, source, family) in FONTS.items():
        made = _make(find_font(package, source), name=name, family=family)
        made.save(FOLDER / f"{name}.woff2")


def find_font(package: str, source: str) -> Path:
    """Return where a file of a package of fonts is. Raises FileNotFoundError."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(package)
    return Path(spec.origin).parent / "files" / source


def _make(source: Path, *, name: str, family: str) -> TTFont:
    """Return a font with the site's characters only, under the site's name."""
    options = Options(flavor="woff2", layout_features=FEATURES, hinting=False, name_IDs=["*"])
    made = TTFont(source, recalcTimestamp=False)  # the same file whenever it is made
    made.flavor = "woff2"
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=parse_unicodes(RANGES))
    subsetter.subset(made)
    for number in (FAMILY, FULL_NAME, PREFERRED_FAMILY):
        made["name"].setName(family, number, 3, 1, 0x409)
    made["name"].setName(f"{family.replace(' ', '')}-{name}", POSTSCRIPT_NAME, 3, 1, 0x409)
    made["name"].names = [record for record in made["name"].names if record.platformID == 3]
    return made


if __name__ == "__main__":
    main()
