"""Draw the site's card for links and its icons: `python -m stack.social_images`.

They are committed: they change only with the mark or the words on the card, and Typst draws them from both.
"""

import struct
from pathlib import Path

import typst

from stack.web_fonts import find_font

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "static" / "img"
FONTS = [find_font(package, "") for package in ("font_source_sans_pro", "font_source_serif_pro")]
ICON_SIDES = (16, 32, 48)
TOUCH_SIDE = 180
PAPER, INK, INK_SOFT, ACCENT = "#faf9f5", "#1f2a33", "#4f5b65", "#1c6683"
ICO_HEADER = "<HHH"  # reserved, 1 for icons, how many
ICO_ENTRY = "<BBBBHHII"  # width, height, colours, reserved, planes, bits, bytes, offset

CARD = f"""
#set page(width: 1200pt, height: 630pt, margin: (x: 96pt, y: 88pt), fill: rgb("{PAPER}"))
#set text(font: "Source Sans Pro", fill: rgb("{INK}"))
#stack(dir: ltr, spacing: 24pt,
  image(bytes(sys.inputs.mark), height: 72pt),
  align(horizon, text(font: "Source Serif Pro", size: 52pt)[Polyscribe]))
#v(1fr)
#text(weight: 600, size: 76pt)[Writing that sounds like you]
#v(28pt)
#text(size: 32pt, fill: rgb("{INK_SOFT}"))[Make a style from your own writing, or pick one.]
#v(1fr)
#line(length: 100%, stroke: 6pt + rgb("{ACCENT}"))
"""


def main() -> None:
    """Write every image."""
    (IMAGES / "card.png").write_bytes(_draw(CARD))
    (IMAGES / "apple-touch-icon.png").write_bytes(_draw(_icon(TOUCH_SIDE, inset=24, fill=PAPER)))
    icons = [_draw(_icon(side, inset=0, fill="")) for side in ICON_SIDES]
    (IMAGES / "favicon.ico").write_bytes(_join_icons(icons))


def _icon(side: int, *, inset: int, fill: str) -> str:
    """Return the source of a square with the mark in it; without a fill, it is transparent."""
    paper = f'rgb("{fill}")' if fill else "none"
    return (
        f"#set page(width: {side}pt, height: {side}pt, margin: {inset}pt, fill: {paper})\n"
        "#image(bytes(sys.inputs.mark), width: 100%)"
    )


def _draw(source: str) -> bytes:
    """Return a page as PNG, a pixel for each point."""
    mark = {"mark": (IMAGES / "mark.svg").read_text()}
    drawn = typst.compile(source.encode(), font_paths=_fonts(), format="png", ppi=72, sys_inputs=mark)
    assert isinstance(drawn, bytes)  # a list where there are several pages
    return drawn


def _fonts() -> typst.Fonts:
    """Return the fonts of the site, and no others."""
    return typst.Fonts(font_paths=FONTS, include_system_fonts=False, include_embedded_fonts=False)


def _join_icons(icons: list[bytes]) -> bytes:
    """Return an .ico file that holds PNGs."""
    offset = struct.calcsize(ICO_HEADER) + len(icons) * struct.calcsize(ICO_ENTRY)
    head = struct.pack(ICO_HEADER, 0, 1, len(icons))
    for side, icon in zip(ICON_SIDES, icons, strict=True):
        head += struct.pack(ICO_ENTRY, side, side, 0, 0, 1, 32, len(icon), offset)
        offset += len(icon)
    return head + b"".join(icons)


if __name__ == "__main__":
    main()
