"""Files that mean harm, or are broken: each is refused with its reason, or read without harm, and in time.

Most are read in this process. Those that only the limits of a process stop are read in the child.
"""

import gzip
import io
import resource
import struct
import tarfile
import time
import zipfile
import zlib
from dataclasses import replace

import pytest

from tests.training.reading.builders import (
    WORD,
    encrypt_pdf,
    make_bare_pdf,
    make_docx,
    make_epub,
    make_odt,
    make_tar,
    make_zip,
    word_paragraph,
)
from training.reading import LIMITS, ReadDocument, read_document
from training.reading.limits import ReadingLimits

MIB = 1024 * 1024
MOST_S = 5.0
# By the clock a busy machine takes many times the processor time.
PATIENT = replace(LIMITS, document_wall_s=120.0, file_wall_s=600.0)
HASTY = replace(PATIENT, document_cpu_s=1)  # for what would take longer than any limit
# For what fills any memory: a busy machine can take longer over 512 MiB of new pages than a document may.
SMALL = replace(PATIENT, memory_bytes=256 * MIB, unpacked_bytes=50 * MIB)
PROSE = "It was a quiet evening, and nobody in the house had any thought of what was to come. " * 3
HARMLESS = ""  # the code of a document that was read


def zip_of_blanks(name: str, size: int, *, start: bytes = b"") -> bytes:
    """Return a ZIP with one member of blanks, which is never in memory as a whole."""
    file = io.BytesIO()
    archive = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive:
        archive.writestr("[Content_Types].xml" if name.startswith("word/") else ".hidden", b"")
        with archive.open(name, "w", force_zip64=True) as member:
            member.write(start)
            for _ in range(size // MIB):
                member.write(b" " * MIB)
    return file.getvalue()


def nested_zip(depth: int) -> bytes:
    content = make_zip({"bomb.txt": b"0" * MIB})
    for _ in range(depth):
        content = make_zip({f"{number}.zip": content for number in range(16)})
    return content


def overlapping_zip() -> bytes:
    """Return a ZIP whose 400 members are all the same compressed 20 MiB, as in a bomb without nesting."""
    single = zip_of_blanks("0.txt", 20 * MIB)
    directory_at = single.rindex(b"PK\x01\x02")
    end_at = single.rindex(b"PK\x05\x06")
    entry = single[directory_at:end_at]
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 400, 400, 400 * len(entry), directory_at, 0)
    return single[:directory_at] + entry * 400 + end


def office_zip(part: str) -> bytes:
    return make_zip({"[Content_Types].xml": "", part: ""})


def lying_zip() -> bytes:
    """Return a ZIP that says one of its members is 10 bytes long."""
    content = bytearray(make_zip({"a.txt": PROSE, "b.txt": PROSE}))
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = struct.pack("<L", 10)
    return bytes(content)


def encrypted_zip() -> bytes:
    content = bytearray(make_zip({"a.txt": PROSE, "b.txt": PROSE}))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    content[6] |= 1
    return bytes(content)


def quine_zip() -> bytes:
    """Return a ZIP with a member that is itself a ZIP with the same name, as a quine unpacks to itself."""
    return make_zip({"r.zip": make_zip({"r.zip": b"PK\x03\x04 and so on"}), "a.txt": PROSE})


def gzipped_tar(content: bytes) -> bytes:
    return gzip.compress(make_tar({"a.txt": content}), 1)


def tar_with(kind: bytes, target: str) -> bytes:
    link = tarfile.TarInfo("link.txt")
    link.type, link.linkname = kind, target
    return make_tar({"a.txt": PROSE.encode()}, link)


LAUGHS = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))
BILLION_LAUGHS = f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>'
EXTERNAL_ENTITY = '<!DOCTYPE x [<!ENTITY file SYSTEM "file:///etc/passwd">]>'
ENTITY_PARAGRAPH = "<w:p><w:r><w:t>&file;&l9;</w:t></w:r></w:p>"


def ole_file(stream: str) -> bytes:
    """Return the beginning of an OLE file, with the name of a stream in its directory."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 1016 + stream.encode("utf-16-le") + b"\0" * 512


def macro_docx() -> bytes:
    macros = {
        "word/vbaProject.bin": b"\xd0\xcf\x11\xe0 AutoOpen Shell",
        "word/_rels/document.xml.rels": "<x/>",
    }
    return make_docx(word_paragraph(PROSE), macros)


def external_docx() -> bytes:
    relation = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship '
        'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate" '
        'Target="http://127.0.0.1:9/template.dotm" TargetMode="External"/></Relationships>'
    )
    return make_docx(word_paragraph(PROSE), {"word/_rels/settings.xml.rels": relation})


def endless_table() -> bytes:
    row = "<w:tr>" + "<w:tc><w:p/></w:tc>" * 50 + "</w:tr>"
    return make_docx(f"<w:tbl>{row * 150_000}</w:tbl>")


def bomb_docx() -> bytes:
    start = f'<w:document xmlns:w="{WORD}"><w:body>'.encode()
    return zip_of_blanks("word/document.xml", 250 * MIB, start=start)


def deep_docx() -> bytes:
    return make_docx("<w:tbl><w:tr><w:tc>" * 50_000 + word_paragraph(PROSE))


def shown(text: str) -> bytes:
    return b"BT /F1 12 Tf 72 700 Td (%s) Tj ET" % text.encode()


def scanned_pdf() -> bytes:
    pixels = zlib.compress(b"\xff" * 100 * 100)
    picture = (
        b"<< /Type /XObject /Subtype /Image /Width 100 /Height 100 /ColorSpace /DeviceGray "
        b"/BitsPerComponent 8 /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream"
        % (len(pixels), pixels)
    )
    return make_bare_pdf([b"q 500 0 0 700 50 50 cm /X Do Q"] * 5, objects=[picture])


def scripted_pdf() -> bytes:
    script = b"<< /S /JavaScript /JS (while \\(true\\) { app.launchURL\\('http://127.0.0.1:9'\\); }) >>"
    attached = b"<< /Type /Filespec /F (virus.exe) /EF << /F 4 0 R >> >>"
    names = "/OpenAction 4 0 R /Names << /EmbeddedFiles << /Names [(virus.exe) 5 0 R] >> >>"
    return make_bare_pdf([shown(PROSE.strip())], catalog=names, objects=[script, attached])


def circular_pdf() -> bytes:
    """Return a PDF whose tree of pages leads to itself."""
    return make_bare_pdf([shown("Text")]).replace(b"/Kids [5 0 R]", b"/Kids [2 0 R]")


def bomb_pdf() -> bytes:
    """Return a PDF with a page of a gigabyte, packed a hundred times over."""
    packed = zlib.compress(zlib.compress(shown("x") * (4 * MIB), 9), 9)
    stream = b"<< /Filter [/FlateDecode /FlateDecode] /Length %d >>\nstream\n%s\nendstream" % (
        len(packed),
        packed,
    )
    content = make_bare_pdf([b""], objects=[stream])
    return content.replace(b"/Contents 5 0 R", b"/Contents 4 0 R")


def protected_epub() -> bytes:
    encryption = (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
        'xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData><enc:EncryptionMethod '
        'Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/></enc:EncryptedData></encryption>'
    )
    return make_epub({"a.xhtml": f"<p>{PROSE}</p>"}, {"META-INF/encryption.xml": encryption})


def traversing_epub() -> bytes:
    return make_epub({"../../../../etc/passwd": "", "a.xhtml": f"<p>{PROSE}</p>"})


REFUSED = {  # name: file, content, codes of its documents' refusals
    # archives
    "a nested bomb": ("a.zip", lambda: nested_zip(2), *["archive_nested"] * 16),
    "a bomb of overlapping members": ("a.zip", overlapping_zip, "unpacks_too_large"),
    "a bomb in a .tar.gz": ("a.tar.gz", lambda: gzipped_tar(b" " * 250 * MIB), "unpacks_too_large"),
    "a ZIP that contains itself": ("a.zip", quine_zip, "archive_nested", HARMLESS),
    "a ZIP with a lying size": ("a.zip", lying_zip, "damaged", HARMLESS),
    "a ZIP with a password": ("a.zip", encrypted_zip, "encrypted", HARMLESS),
    "too many members": (
        "a.zip",
        lambda: make_zip({f"{number}.txt": b"" for number in range(501)}),
        "too_many_members",
    ),
    "paths out of a ZIP": (
        "a.zip",
        lambda: make_zip({"../../etc/cron.d/x.txt": PROSE, "/a.txt": PROSE}),
        *["archive_path"] * 2,
    ),
    "a symbolic link": ("a.tar", lambda: tar_with(tarfile.SYMTYPE, "/etc/passwd"), "archive_link", HARMLESS),
    "a hard link": ("a.tar", lambda: tar_with(tarfile.LNKTYPE, "../x"), "archive_link", HARMLESS),
    "a device": ("a.tar", lambda: tar_with(tarfile.CHRTYPE, ""), "archive_link", HARMLESS),
    "a ZIP cut off": ("a.zip", lambda: make_zip({"a.txt": PROSE})[:-30], "damaged"),
    "a .tar.gz cut off": ("a.tar.gz", lambda: gzipped_tar(PROSE.encode())[:-30], "damaged"),
    "an empty ZIP": ("a.zip", lambda: make_zip({}), "archive_empty"),
    # Word
    "billion laughs in .docx": (
        "a.docx",
        lambda: make_docx(ENTITY_PARAGRAPH, before=BILLION_LAUGHS),
        "document_type",
    ),
    "an external entity in .docx": (
        "a.docx",
        lambda: make_docx(ENTITY_PARAGRAPH, before=EXTERNAL_ENTITY),
        "document_type",
    ),
    "a DTD by address": (
        "a.docx",
        lambda: make_docx("", before='<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">'),
        "document_type",
    ),
    "a .docx with a password": ("a.docx", lambda: ole_file("EncryptedPackage"), "encrypted"),
    "an old .doc": ("a.doc", lambda: ole_file("WordDocument"), "old_word"),
    "an endless table": ("a.docx", endless_table, "too_slow"),
    "a deep .docx": ("a.docx", deep_docx, "damaged"),
    "a bomb in a .docx": ("a.docx", bomb_docx, "unpacks_too_large"),
    "a .docx cut off": ("a.docx", lambda: macro_docx()[:-100], "damaged"),
    "a .docx without its document": ("a.docx", lambda: office_zip("word/styles.xml"), "damaged"),
    # OpenDocument and EPUB
    "billion laughs in .odt": (
        "a.odt",
        lambda: make_odt("<text:p>&l9;</text:p>", before=BILLION_LAUGHS),
        "document_type",
    ),
    "an .odt with a password": (
        "a.odt",
        lambda: make_odt("", further={"META-INF/manifest.xml": "<m><manifest:encryption-data/></m>"}),
        "encrypted",
    ),
    "billion laughs in .epub": (
        "a.epub",
        lambda: make_epub({"a.xhtml": f"{BILLION_LAUGHS}<html><p>&l9;</p></html>"}),
        HARMLESS,
    ),
    "an external entity in .epub": (
        "a.epub",
        lambda: make_epub({"a.xhtml": f"{EXTERNAL_ENTITY}<html><p>&file;</p></html>"}),
        HARMLESS,
    ),
    "an .epub with DRM": ("a.epub", protected_epub, "copy_protected"),
    # PDF
    "10,000 pages": ("a.pdf", lambda: make_bare_pdf([shown("x")] * 10_000), "too_many_pages"),
    "a PDF with a password": ("a.pdf", lambda: encrypt_pdf(scripted_pdf()), "encrypted"),
    "a scanned PDF": ("a.pdf", scanned_pdf, "scanned"),
    "a PDF whose pages lead to themselves": ("a.pdf", circular_pdf, "no_text"),
    "a bomb in a PDF": ("a.pdf", bomb_pdf, "damaged"),
    "a PDF cut off": ("a.pdf", lambda: scripted_pdf()[:300], "damaged"),
    # RTF
    "deep groups in .rtf": ("a.rtf", lambda: b"{\\rtf1 " + b"{" * 100_000, "damaged"),
    "binary data without end in .rtf": ("a.rtf", lambda: b"{\\rtf1 \\bin2147483647 x}", "no_text"),
    # HTML and Markdown
    "billion laughs in .html": ("a.html", f"{BILLION_LAUGHS}<p>&l9;</p>".encode, HARMLESS),
    "a megabyte of backticks": ("a.md", lambda: b"`" * MIB, "no_text"),
    "brackets in .md": ("a.md", lambda: b"[a](" * 150_000 + b"![" * 150_000, "too_slow"),
    "deep quotes in .md": ("a.md", lambda: b"> " * 20_000 + PROSE.encode(), "no_text"),
    # plain text
    "nothing": ("a.txt", lambda: b"", "empty"),
    "blanks": ("a.txt", lambda: b" \n" * MIB, "empty"),
    "a gigabyte of blanks": ("a.zip", lambda: zip_of_blanks("a.txt", 1024 * MIB), "too_large"),
    "NUL bytes": ("a.txt", lambda: b"\0" * MIB + b"a", "binary"),
    "NUL bytes in a text": ("a.txt", lambda: b"\0\0\0".join([PROSE.encode()] * 9), "binary"),
    "a program named .txt": ("a.txt", lambda: b"MZ\x90\0\x03\0\0\0" + bytes(range(256)) * 40, "binary"),
    "Cyrillic in windows-1251": ("a.txt", lambda: ("Он вошёл в дом. " * 40).encode("cp1251"), "encoding"),
    "Japanese in Shift JIS": (
        "a.txt",
        lambda: ("これは日本語の文章です。" * 40).encode("shift-jis"),
        "encoding",
    ),
    "half a character": ("a.txt", lambda: b"\xff\xfea", "encoding"),
    "a song of 11 MB": ("a.txt", lambda: b"la " * (11 * MIB // 3), "too_long"),
    "a picture": ("a.jpg", lambda: b"\xff\xd8\xff\xe0" * 100, "unsupported"),
    "a spreadsheet": ("a.xlsx", lambda: office_zip("xl/workbook.xml"), "unsupported"),
    "a text named .pdf": ("a.pdf", PROSE.encode, "misnamed"),
}
READ = {  # name: file, content
    "macros in a renamed .docm": ("a.docx", macro_docx),
    "a .docm": ("a.docm", macro_docx),
    "relationships to elsewhere": ("a.docx", external_docx),
    "billions of blanks in .odt": (
        "a.odt",
        lambda: make_odt(f'<text:p>{PROSE}<text:s text:c="999999999999"/></text:p>'),
    ),
    "a chapter outside of its .epub": ("a.epub", traversing_epub),
    "a PDF with a script and an attached file": ("a.pdf", scripted_pdf),
    "a PDF named .docx": ("a.docx", scripted_pdf),
    "objects and binary data in .rtf": (
        "a.rtf",
        lambda: (
            b"{\\rtf1{\\object\\objemb{\\*\\objdata 4d5a9000}}{\\pict\\bin9 }}}{{{\\\\par}%s}"
            % PROSE.encode()
        ),
    ),
    "unclosed everything in .rtf": ("a.rtf", lambda: b"{\\rtf1 }}}}}%s\\" % PROSE.encode()),
    "frames, scripts and styles": (
        "a.html",
        f'<script>x("evil")</script><iframe src="file:///etc/passwd">evil</iframe><p>{PROSE}'.encode,
    ),
    "marks that nobody sees": ("a.txt", ("\u202e\u200b\u2066\U000e0041" + "\u200d\u200b".join(PROSE)).encode),
}
READ_OTHERWISE = {  # not as PROSE alone
    "deep .html": ("a.html", lambda: b"<div>" * 100_000 + PROSE.encode()),
    "backticks that close nothing": (
        "a.md",
        lambda: b"".join(b"`" * (number % 300) + b"a " for number in range(1500)),
    ),
    "one line of 5 MB": ("a.txt", lambda: PROSE.encode() * (5 * MIB // len(PROSE))),
    "one word of 5 MB": ("a.txt", lambda: b"a" * 5 * MIB),
    "quotation marks": ("a.txt", lambda: '„“»«"'.encode() * (MIB // 4) + PROSE.encode()),
}


NEEDS_LIMITS = [  # without the child's limits these take gigabytes or minutes
    "a nested bomb",
    "a bomb of overlapping members",
    "a bomb in a .tar.gz",
    "an endless table",
    "a bomb in a .docx",
    "a bomb in a PDF",
    "brackets in .md",
    "a gigabyte of blanks",
]


@pytest.mark.parametrize("case", [case for case in REFUSED if case not in NEEDS_LIMITS])
def test_a_file_that_means_harm_is_refused_in_time(case, reads_here):
    name, make, *codes = REFUSED[case]
    assert list(map(code_of, read_in_time(name, make()))) == codes


@pytest.mark.parametrize("case", NEEDS_LIMITS)
def test_a_file_that_needs_much_is_refused_within_the_limits_of_the_child(case):
    name, make, *codes = REFUSED[case]
    limits = HASTY if "too_slow" in codes else SMALL
    assert list(map(code_of, read_in_time(name, make(), limits))) == codes


@pytest.mark.parametrize("case", [*READ, *READ_OTHERWISE])
def test_a_file_that_only_seems_to_mean_harm_is_read_in_time(case, reads_here):
    name, make = (READ | READ_OTHERWISE)[case]
    (document,) = read_in_time(name, make())
    assert code_of(document) == HARMLESS
    assert document.text == PROSE.strip() or case in READ_OTHERWISE


def read_in_time(name: str, content: bytes, limits: ReadingLimits = PATIENT) -> list[ReadDocument]:
    assert len(content) <= LIMITS.file_bytes
    before_s = processor_time_s()
    documents = read_document(name, content, limits)
    # Processor time is what it takes on a quiet machine, however many tests run beside this one.
    assert processor_time_s() - before_s < MOST_S
    assert not any("root:" in document.text or "evil" in document.text for document in documents)
    return documents


def test_a_document_that_needs_more_memory_than_it_may_have_is_refused():
    limits = replace(PATIENT, memory_bytes=100 * MIB)
    (document,) = read_document("a.txt", PROSE.encode() * (20 * MIB // len(PROSE)), limits)
    assert code_of(document) == "needs_memory"


def test_one_hostile_member_leaves_the_rest_of_an_archive():
    slow = REFUSED["brackets in .md"][1]()
    packed = make_zip({"slow.md": slow, "crash.pdf": bomb_pdf(), "a.txt": PROSE})
    documents = read_document("a.zip", packed, SMALL)
    assert [code_of(document) for document in documents] == ["too_slow", "damaged", HARMLESS]


def test_an_archive_ends_at_its_fifth_slow_member():
    slow = REFUSED["brackets in .md"][1]()
    members = {f"{number}.md": slow for number in range(LIMITS.slow_members)}
    documents = read_document("a.zip", make_zip({**members, "a.txt": PROSE, "b.txt": PROSE}), HASTY)
    assert LIMITS.slow_members == 5
    assert [code_of(document) for document in documents] == ["too_slow"] * 5 + ["archive_given_up"] * 2


def code_of(document: ReadDocument) -> str:
    return document.refusal.code if document.refusal else HARMLESS


def processor_time_s() -> float:
    """Return what this process and all its children have taken."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + usage.ru_utime + usage.ru_stime
