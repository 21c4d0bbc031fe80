"""Bytes → text, for the encodings of people's files: UTF-8, UTF-16, windows-1252 and declared ones."""

import codecs
import re

from training.reading.documents import Refused

# Loaded with this module: a codec is a file, and later none can be opened. As in the WHATWG's encoding
# standard, what is declared as latin-1 is windows-1252.
DECLARED = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    "iso-8859-2": "iso8859-2",
    "iso-8859-15": "iso8859-15",
    "windows-1250": "cp1250",
    "windows-1251": "cp1251",
    "koi8-r": "koi8-r",
    "macintosh": "mac-roman",
}
for _codec in set(DECLARED.values()):
    codecs.lookup(_codec)

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, ""),  # begins like UTF-16's
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
CONTROL_BYTES = bytes(sorted({*range(32), 127} - {9, 10, 11, 12, 13, 26, 27}))
# Characters beyond ASCII in Western prose. Text in another encoding is full of other ones.
WESTERN = re.compile(
    "[\xa0-\xa3\xa7-\xab\xad\xae\xb0\xb2-\xb5\xb7\xb9-\xd6\xd8-\xf6\xf8-\xff"
    "\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u2013\u2014\u2018-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122]"
)
BEYOND_ASCII = re.compile("[^\x00-\x7f]")
LETTER = re.compile(r"[^\W\d_]")
LEAST_WESTERN_SHARE = 0.95  # of the characters beyond ASCII
MOST_ACCENTED_SHARE = 0.3  # of the letters; French and Czech prose stay below 0.2


def decode(content: bytes, declared: str = "") -> str:
    """Return the text of bytes. Raises Refused("binary") and Refused("encoding")."""
    for mark, codec in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return _decode_strictly(content[len(mark) :], codec)
    if b"\0" in content:
        return _decode_utf16(content)
    if _control_share(content) > 0.001:
        raise Refused("binary")
    codec = DECLARED.get(declared.strip().lower(), "")
    if codec and codec != "utf-8":
        return _decode_strictly(content, codec)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return _decode_western(content)


def _decode_strictly(content: bytes, codec: str) -> str:
    try:
        return content.decode(codec)
    except (UnicodeDecodeError, LookupError) as error:
        raise Refused("encoding") from error


def _decode_utf16(content: bytes) -> str:
    """Return a text of UTF-16 without a mark: every second byte of its Latin letters is zero."""
    even, odd = content[::2].count(0), content[1::2].count(0)
    half = len(content) / 2
    for codec, zeros, others in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if zeros > 0.5 * half and others < 0.01 * half and len(content) % 2 == 0:
            return _decode_strictly(content, codec)
    raise Refused("binary")


def _control_share(content: bytes) -> float:
    return 1 - len(content.translate(None, CONTROL_BYTES)) / max(1, len(content))


def _decode_western(content: bytes) -> str:
    text = _decode_strictly(content, "cp1252")
    beyond = BEYOND_ASCII.findall(text)
    western_share = sum(1 for character in beyond if WESTERN.match(character)) / max(1, len(beyond))
    accented = sum(1 for character in beyond if character.isalpha())
    accented_share = accented / max(1, len(LETTER.findall(text)))
    if western_share < LEAST_WESTERN_SHARE or accented_share > MOST_ACCENTED_SHARE:
        raise Refused("encoding")
    return text
