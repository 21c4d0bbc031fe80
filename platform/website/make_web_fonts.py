"""Make the site's web fonts in a folder: `python -m website.make_web_fonts FOLDER` (see `web_fonts`)."""

import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter, parse_unicodes
from fontTools.ttLib import TTFont

from website.web_fonts import FONTS, RANGES, WebFont, source_of

FAMILY, FULL_NAME, POSTSCRIPT_NAME, PREFERRED_FAMILY = 1, 4, 6, 16  # of OpenType's name table
FEATURES = ["kern", "liga", "calt", "ccmp", "locl", "mark", "mkmk", "tnum", "lnum", "pnum"]


def main(folder: Path) -> None:
    """Write every font as WOFF2."""
    for font in FONTS:
        made = make(font)
        made.save(folder / f"{font.name}.woff2")


def make(font: WebFont) -> TTFont:
    """Return a font with the site's characters only, under the site's name."""
    options = Options(flavor="woff2", layout_features=FEATURES, hinting=False, name_IDs=["*"])
    made = TTFont(source_of(font))
    made.flavor = "woff2"
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=parse_unicodes(RANGES.replace("U+", "")))
    subsetter.subset(made)
    _rename(made, font)
    return made


def _rename(made: TTFont, font: WebFont) -> None:
    for name in (FAMILY, FULL_NAME, PREFERRED_FAMILY):
        made["name"].setName(font.family, name, 3, 1, 0x409)
    made["name"].setName(font.family.replace(" ", "") + "-" + font.name, POSTSCRIPT_NAME, 3, 1, 0x409)
    made["name"].names = [record for record in made["name"].names if record.platformID == 3]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
