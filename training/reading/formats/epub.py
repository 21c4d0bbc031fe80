"""EPUB: the chapters of a book in their reading order. EPUB 3.3 and 2.0.1.

Not EbookLib, which is under the AGPL.
"""

import posixpath
from urllib.parse import unquote, urlsplit

from training.reading.documents import Refused
from training.reading.drafts import Draft
from training.reading.formats.html import HtmlTarget, read_html
from training.reading.limits import ReadingLimits
from training.reading.markup import parse_tree
from training.reading.packages import Package

CONTAINER = "META-INF/container.xml"
ENCRYPTION = "META-INF/encryption.xml"
RIGHTS = frozenset({"META-INF/rights.xml", "META-INF/sinf.xml"})  # of Adobe and of Apple
# Any book may have obfuscated fonts; anything else that is encrypted needs a shop's key.
FONT_OBFUSCATIONS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
CHAPTER_TYPES = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml"})


def read(content: bytes, limits: ReadingLimits) -> Draft:
    """Return the paragraphs of all chapters. Raises Refused."""
    package = Package(content, limits)
    _refuse_protected(package)
    target = HtmlTarget(limits)
    for chapter in _list_chapters(package):
        if chapter in package:
            read_html(package.read(chapter), target)
    return target.draft


def _refuse_protected(package: Package) -> None:
    """Raise Refused if chapters are encrypted."""
    if any(part in package for part in RIGHTS):
        raise Refused("copy_protected")
    if ENCRYPTION not in package:
        return
    for method in parse_tree(package.read(ENCRYPTION)).iterfind(".//{*}EncryptedData/{*}EncryptionMethod"):
        if method.get("Algorithm") not in FONT_OBFUSCATIONS:
            raise Refused("copy_protected")


def _list_chapters(package: Package) -> list[str]:
    """Return the paths of a book's chapters, in order and each once."""
    rootfile = parse_tree(package.read(CONTAINER)).find(".//{*}rootfile")
    if rootfile is None:
        raise Refused("damaged")
    description = rootfile.get("full-path", "")
    book = parse_tree(package.read(description))
    items = {}
    for item in book.iterfind("./{*}manifest/{*}item"):
        is_contents = "nav" in item.get("properties", "").split()
        if item.get("media-type") in CHAPTER_TYPES and not is_contents:
            items[item.get("id")] = _resolve(description, item.get("href", ""))
    spine = [reference.get("idref") for reference in book.iterfind("./{*}spine/{*}itemref")]
    return list(dict.fromkeys(items[chapter] for chapter in spine if chapter in items))


def _resolve(description: str, address: str) -> str:
    """Return the path of a chapter. An address outside of the package is no path in it."""
    path = unquote(urlsplit(address).path)
    return posixpath.normpath(posixpath.join(posixpath.dirname(description), path))
