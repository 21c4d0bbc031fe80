"""Rich Text Format: `.rtf`, of WordPad, TextEdit and old word processors. RTF 1.9.1.

Not striprtf: it takes a step for each letter (5 s for 5 MB), writes addresses of links into the text and
looks up codecs in mid-file, when none can be loaded.
"""

import codecs
import re
from dataclasses import dataclass, replace

from training.reading.documents import Refused
from training.reading.drafts import Draft, Paragraph
from training.reading.limits import MIB, ReadingLimits

TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?"  # a control word and its number
    rb"|\\'([0-9a-fA-F]{2})"  # a byte
    rb"|\\([^a-zA-Z])"  # a control symbol
    rb"|([{}])"
    rb"|[\r\n]+"
    rb"|([^\\{}\r\n]+)",
    re.DOTALL,
)
# Groups whose content is data, or is elsewhere on the page.
SKIPPED = frozenset(
    b"annotation atnauthor atnid author bkmkend bkmkstart colortbl comment company datafield do fldinst "
    b"footer footerf footerl footerr footnote header headerf headerl headerr info keywords listoverridetable "
    b"listtable nonshppict objdata object operator pict pntext private revtbl rsidtbl rxe stylesheet subject "
    b"tc themedata title txe xe".split()
)
PARAGRAPH_ENDS = frozenset((b"par", b"sect", b"page", b"row", b"cell", b"nestcell", b"nestrow"))
CHARACTERS = {
    b"line": "\n",
    b"tab": "\t",
    b"emdash": "—",
    b"endash": "\N{EN DASH}",
    b"lquote": "\N{LEFT SINGLE QUOTATION MARK}",
    b"rquote": "\N{RIGHT SINGLE QUOTATION MARK}",
    b"ldblquote": "“",
    b"rdblquote": "”",
    b"bullet": "•",
    b"emspace": " ",
    b"enspace": " ",
    b"qmspace": " ",
}
SYMBOLS = {b"~": "\xa0", b"-": "\xad", b"_": "\N{NON-BREAKING HYPHEN}", b"{": "{", b"}": "}", b"\\": "\\"}
DEFAULT_CODEC = "cp1252"
# The code pages of \\ansicpg and of fonts' \\fcharset; loaded here, because later no file can be opened.
CODE_PAGES = {page: f"cp{page}" for page in (437, 850, 1250, 1251, 1252, 1253, 1254, 1257)} | {
    10000: "mac-roman"
}
FONT_CHARSETS = {77: 10000, 161: 1253, 162: 1254, 186: 1257, 204: 1251, 238: 1250}
for _codec in CODE_PAGES.values():
    codecs.lookup(_codec)
DEEPEST = 10_000  # nested groups; Word writes far fewer


@dataclass(frozen=True)
class Group:
    """What applies until the group's closing brace."""

    is_skipped: bool = False
    is_font_table: bool = False
    codec: str = DEFAULT_CODEC
    fallback_characters: int = 1  # how many follow each \\u, for old programs


def read(content: bytes, limits: ReadingLimits) -> Draft:
    """Return the paragraphs of the document: no headers, footers, notes or pictures. Raises Refused."""
    parser = RtfParser(limits)
    position = 0
    while token := TOKEN.match(content, position):
        position = token.end() + parser.take(token)
    return parser.close()


class RtfParser:
    """Follows an RTF file from token to token."""

    def __init__(self, limits: ReadingLimits) -> None:
        self._draft = Draft()
        self._limit_bytes = limits.text_bytes
        self._left_characters = limits.text_bytes
        self._pieces: list[str] = []
        self._group = Group()
        self._outer: list[Group] = []
        self._fallback_left = 0  # characters to pass over, which repeat a \\u
        self._default_codec = DEFAULT_CODEC
        self._font_codecs: dict[int, str] = {}
        self._font = 0  # the one that is described, within the table of fonts

    def take(self, token: re.Match[bytes]) -> int:
        """Take one token. Returns how many bytes of binary data follow it. Raises Refused."""
        word, number, byte, symbol, brace, text = token.groups()
        if text is not None:
            self._add_bytes(text)
        elif word is not None:
            return self._take_word(word, int(number) if number else None)
        elif byte is not None:
            self._add_bytes(bytes.fromhex(byte.decode()))
        elif symbol is not None:
            self._take_symbol(symbol)
        elif brace == b"{":
            self._open_group()
        elif brace == b"}":
            self._close_group()
        return 0

    def close(self) -> Draft:
        """Return what was found."""
        self._end_paragraph()
        return self._draft

    def _open_group(self) -> None:
        if len(self._outer) >= DEEPEST:
            raise Refused("damaged")
        self._outer.append(self._group)
        self._fallback_left = 0

    def _close_group(self) -> None:
        if self._outer:
            self._group = self._outer.pop()
        self._fallback_left = 0

    def _take_word(self, word: bytes, number: int | None) -> int:
        """Take a control word. Returns how many bytes of binary data follow it."""
        if word == b"bin":
            return max(0, number or 0)
        if word == b"u":
            self._add(chr((number or 0) % 0x10000))  # it has a sign, and halves of a pair come one by one
            self._fallback_left = self._group.fallback_characters
            return 0
        if word in SKIPPED:
            self._group = replace(self._group, is_skipped=True)
        elif word in PARAGRAPH_ENDS:
            self._end_paragraph()
        elif word in CHARACTERS:
            self._add(CHARACTERS[word])
        elif word == b"uc":
            self._group = replace(self._group, fallback_characters=min(10, number or 0))
        else:
            self._take_encoding(word, number or 0)
        self._fallback_left = 0
        return 0

    def _take_encoding(self, word: bytes, number: int) -> None:
        """Take a control word that says which bytes are which letters."""
        if word == b"fonttbl":
            self._group = replace(self._group, is_skipped=True, is_font_table=True)
        elif word == b"fcharset":
            self._font_codecs[self._font] = CODE_PAGES.get(FONT_CHARSETS.get(number, 0), self._default_codec)
        elif word == b"f" and self._group.is_font_table:
            self._font = number
        elif word == b"f":
            self._group = replace(self._group, codec=self._font_codecs.get(number, self._default_codec))
        elif word in (b"ansicpg", b"mac"):
            page = 10000 if word == b"mac" else number
            self._default_codec = CODE_PAGES.get(page, DEFAULT_CODEC)
            self._group = replace(self._group, codec=self._default_codec)

    def _take_symbol(self, symbol: bytes) -> None:
        if symbol == b"*":  # a group that programs leave out unless they know it
            self._group = replace(self._group, is_skipped=True)
        elif symbol in b"\r\n":
            self._end_paragraph()
        else:
            self._add(SYMBOLS.get(symbol, ""))

    def _add_bytes(self, text: bytes) -> None:
        passed = min(self._fallback_left, len(text))
        self._fallback_left -= passed
        self._add(text[passed:].decode(self._group.codec, "replace"))

    def _add(self, text: str) -> None:
        if self._group.is_skipped:
            return
        self._left_characters -= len(text)
        if self._left_characters < 0:
            raise Refused("too_long", limit_mb=self._limit_bytes // MIB)
        self._pieces.append(text)

    def _end_paragraph(self) -> None:
        if self._group.is_skipped:
            return
        text = "".join(self._pieces)
        self._pieces.clear()
        joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        self._draft.paragraphs.append(Paragraph(joined))
