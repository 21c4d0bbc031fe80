"""Archives: what is taken out of them, what is refused and why, and that neither costs memory."""

import gzip
import io
import os
import stat
import struct
import tarfile
import tempfile
import tracemalloc
import warnings
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.errors import DiskUnavailable
from adapters.validation import archive_reader
from adapters.validation.archive_reader import unpack, validate_archive
from adapters.validation.limits import ARCHIVE_LIMIT, INFLATED_BYTES, archive_of
from labs.broken_adapters.parts import CONFIG, WEIGHTS
from tests.adapters.validation.sources import Bytes, Endless
from tests.fakes.broken_adapters import tiny_base, valid_adapter
from tests.profiles import examples

MEMORY_BYTES = 64 * 1024 * 1024
FILES = {CONFIG: b'{"r": 8}', WEIGHTS: bytes(range(256)) * 4000}
PIECE = os.urandom(1_000_000) + bytes(9_000_000)  # packs to a tenth
ZIP, TAR, TGZ = "adapter.zip", "adapter.tar", "adapter.tar.gz"


def zipped(files: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(files: dict[str, bytes], *others: tarfile.TarInfo, format: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for entry in others:
            archive.addfile(entry)
    return out.getvalue()


def entry(name: str, kind: bytes, **facts: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    for field, value in facts.items():
        setattr(made, field, value)
    return made


def unpacked(data: bytes | Endless, kept_as: str) -> tuple[dict[str, bytes], set[str]]:
    """Return the files that came out and the codes of the findings."""
    out: dict[str, bytes] = {}
    source = Bytes(data) if isinstance(data, bytes) else data
    findings = unpack(source, kept_as, lambda file, chunks: out.update({file: b"".join(chunks)}))
    assert all(finding.sentence.endswith(".") for finding in findings)
    return out, {finding.code for finding in findings}


# What is taken.


@pytest.mark.parametrize("folder", ["", "./", "noir/", "./noir v2/", "noir\\"])
def test_both_files_come_out_of_every_kind_of_archive(folder):
    files = {f"{folder}{name}": content for name, content in FILES.items()}
    beside = {f"{folder}README.md": b"A model card.", f"{folder}tokenizer.json": b"{}"}
    mac = {"__MACOSX/._adapter_config.json": b"\0\5\26\7", ".DS_Store": b"", "__MACOSX/x/._a.bin": b""}
    for data, kept_as in [
        (zipped({**files, **beside, **mac}), ZIP),
        (zipped(files, method=zipfile.ZIP_STORED), ZIP),
        (tarred({**beside, **files}), TAR),
        (tarred(files, entry("noir", tarfile.DIRTYPE), format=tarfile.GNU_FORMAT), TAR),
        (tarred({**files, **mac}, format=tarfile.USTAR_FORMAT), TAR),
        (gzip.compress(tarred({**files, **beside})), TGZ),
    ]:
        assert unpacked(data, kept_as) == (FILES, set())


def test_an_archive_is_named_by_how_its_name_ends():
    names = {
        "a.zip": ZIP,
        "A.ZIP": ZIP,
        "x.tar.gz": TGZ,
        "../x.tgz": TGZ,
        "x.tar": TAR,
        "x.gz": "",
        "zip": "",
    }
    assert {name: archive_of(name) for name in names} == names


def test_an_archive_on_this_machine_gets_the_report_of_its_folder(tmp_path):
    base, adapter = tiny_base(), valid_adapter(tiny_base())
    path = tmp_path / "noir.tgz"
    files = {f"noir/{CONFIG}": adapter.config_bytes, f"noir/{WEIGHTS}": adapter.weights}
    path.write_bytes(gzip.compress(tarred(files)))
    assert validate_archive(path, base, 16).is_valid
    adapter.config["use_dora"] = True
    files[f"noir/{CONFIG}"] = adapter.config_bytes
    path.write_bytes(gzip.compress(tarred(files)))
    assert [finding.code for finding in validate_archive(path, base, 16).findings] == ["dora"]


# What is refused.


def encrypted() -> bytes:
    data = bytearray(zipped(FILES))
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.find(mark)
        data[at + offset] |= 1
    return bytes(data)


def zip_link() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo(WEIGHTS)
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    return out.getvalue()


def twice() -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for content in (b"first", b"second"):
                archive.writestr(WEIGHTS, content)
    return out.getvalue()


def lying_zip(declared: int) -> bytes:
    """Return a zip that declares another size than comes out."""
    data = zipped(FILES)
    return data.replace(struct.pack("<I", len(FILES[WEIGHTS])), struct.pack("<I", declared))


def overlapping() -> bytes:
    """Return a zip with two names for the same bytes."""
    data = zipped({"a.txt": bytes(100_000), **FILES})
    table = data.index(b"PK\1\2")
    entry = data[table : data.index(b"PK\1\2", table + 1)]
    end = data.index(b"PK\5\6")
    counts = struct.pack("<HHI", 4, 4, end - table + len(entry))
    return data[:end] + entry + data[end : end + 8] + counts + data[end + 16 :]


def header(kind: bytes, size: int, name: str = "x") -> bytes:
    """Return a tar's header that may claim any size."""
    block = bytearray(entry(name, kind).tobuf(tarfile.GNU_FORMAT))
    block[124:136] = bytes([0x80 if size >= 0 else 0xFF]) + (size % 256**11).to_bytes(11)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def moved(at: str) -> dict[str, bytes]:
    return {f"{at}{name}": content for name, content in FILES.items()}


LINKS = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"S"]
OUTSIDE = ("../", "a/../../", "/", "C:\\", "..\\", "\\")
MOVED = {**dict.fromkeys(OUTSIDE, "archive_path"), "a/b/": "archive_place"}
EVIL: dict[str, tuple[bytes, str, set[str]]] = {
    **{f"zip {at}": (zipped(moved(at)), ZIP, {code}) for at, code in MOVED.items()},
    **{f"tar {at}": (tarred(moved(at)), TAR, {code}) for at, code in MOVED.items()},
    "no name": (zipped({**FILES, "": b""}), ZIP, {"archive_path"}),
    **{
        f"tar type {kind!r}": (tarred(FILES, entry("x", kind, linkname="/etc/passwd")), TAR, {"archive_link"})
        for kind in LINKS
    },
    "the weights a link": (
        tarred({CONFIG: b"{}"}, entry(WEIGHTS, b"2", linkname=CONFIG)),
        TAR,
        {"archive_link"},
    ),
    "zip link": (zip_link(), ZIP, {"archive_link"}),
    "encrypted": (encrypted(), ZIP, {"archive_encrypted"}),
    "LZMA": (zipped(FILES, method=zipfile.ZIP_LZMA), ZIP, {"archive_method"}),
    "bzip2": (zipped(FILES, method=zipfile.ZIP_BZIP2), ZIP, {"archive_method"}),
    "nested zip": (zipped({**FILES, "more.zip": zipped(FILES)}), ZIP, {"archive_nested"}),
    "nested tar": (gzip.compress(tarred({**FILES, "more.tar.xz": b""})), TGZ, {"archive_nested"}),
    "many members": (tarred({**FILES, **{f"{n}.txt": b"" for n in range(99)}}), TAR, {"archive_members"}),
    "a long table": (zipped({f"{n}{'x' * 60}": b"" for n in range(4000)}), ZIP, {"archive_damaged"}),
    "twice": (twice(), ZIP, {"archive_duplicate"}),
    "twice, otherwise written": (tarred({**FILES, f"./{CONFIG}": b"{}"}), TAR, {"archive_duplicate"}),
    "two adapters": (zipped(moved("a/") | moved("b/")), ZIP, {"archive_several"}),
    "apart": (zipped({f"a/{CONFIG}": b"{}", f"b/{WEIGHTS}": b""}), ZIP, {"archive_place"}),
    "a pickle beside": (tarred({**FILES, "training_args.bin": b"\x80\x04."}), TAR, {"file_pickle"}),
    "only a pickle": (zipped({CONFIG: b"{}", "adapter_model.PT": b"\x80\x04."}), ZIP, {"file_pickle"}),
    "without weights": (zipped({CONFIG: b"{}"}), ZIP, {"file_missing"}),
    "misnamed": (zipped({CONFIG: b"{}", "pytorch_lora.safetensors": b""}), ZIP, {"file_misnamed"}),
    "nothing": (zipped({}), ZIP, {"file_missing"}),
    "two names for the same bytes": (overlapping(), ZIP, {"archive_damaged"}),
    "a large config": (zipped({**FILES, CONFIG: bytes(65_537)}), ZIP, {"archive_too_large"}),
    "a declared bomb": (lying_zip(2**31), ZIP, {"archive_too_large"}),
    "a lie that is small": (lying_zip(100), ZIP, {"archive_damaged"}),
    "a lie that is large": (lying_zip(2_000_000), ZIP, {"archive_damaged"}),
    "a tar's bomb": (
        gzip.compress(header(b"0", 2**40, WEIGHTS)),
        TGZ,
        {"archive_too_large", "archive_damaged"},
    ),
    "a header without end": (gzip.compress(header(b"x", 2**40) + bytes(10_000)), TGZ, {"archive_damaged"}),
    "a long name without end": (header(b"L", 2**33) + bytes(10_000), TAR, {"archive_damaged"}),
    "names upon names": ((header(b"L", 10) + bytes(512)) * 900 + bytes(1024), TAR, {"archive_damaged"}),
    "back to the beginning": (header(b"0", -1024) + bytes(1024), TAR, {"archive_damaged"}),
    "gzip files without end": (gzip.compress(b"") * 30_000, TGZ, {"archive_damaged"}),
    "zip cut": (zipped(FILES)[:-30], ZIP, {"archive_damaged"}),
    "tar cut": (tarred(FILES)[:-300_000], TAR, {"archive_damaged"}),
    "gzip cut": (gzip.compress(tarred(FILES))[:-1000], TGZ, {"archive_damaged"}),
    "no zip": (tarred(FILES), ZIP, {"archive_damaged"}),
    "no tar": (zipped(FILES), TAR, {"archive_damaged"}),
    "no gzip": (tarred(FILES), TGZ, {"archive_damaged"}),
    **{f"empty {kept_as}": (b"", kept_as, {"archive_damaged"}) for kept_as in (ZIP, TAR, TGZ)},
}


@pytest.mark.parametrize("kind", EVIL)
def test_each_evil_archive_is_refused_for_its_reason(kind):
    data, kept_as, expected = EVIL[kind]
    out, codes = unpacked(data, kept_as)
    assert codes == expected
    assert all(len(content) <= 2_000_000 for content in out.values())


def test_a_gzip_bomb_is_left_as_soon_as_it_is_one():
    piece = gzip.compress(bytes(16 * 1024 * 1024))
    bomb = gzip.compress(header(tarfile.REGTYPE, ARCHIVE_LIMIT * 2, "README.md")) + piece * 100
    read, codes, peak = _measured(bomb, TGZ)
    assert codes == {"archive_inflated"}
    assert read == 0
    assert peak < MEMORY_BYTES / 2


def test_the_temporary_file_has_no_name_and_a_full_disk_is_said_to_be_one(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names: list[str] = []
    for kept_as, data in WHOLE.items():
        unpack(Bytes(data), kept_as, lambda file, chunks: names.extend(tmp_path.iterdir()))
    assert names == []
    monkeypatch.setattr(archive_reader, "TemporaryFile", lambda buffering: io.FileIO("/dev/full", "r+"))
    for kept_as, data in WHOLE.items():
        with pytest.raises(DiskUnavailable):
            unpack(Bytes(data), kept_as, lambda file, chunks: None)


def test_what_follows_a_gzip_file_is_ignored_and_a_packed_archive_may_not_exceed_the_limit():
    assert unpacked(gzip.compress(tarred(FILES)) + bytes(512), TGZ) == (FILES, set())
    assert unpacked(Endless(b"", bytes(1024 * 1024), ARCHIVE_LIMIT + 1), TAR)[1] == {"archive_too_large"}


@pytest.mark.parametrize("kept_as", [ZIP, TGZ])
def test_three_hundred_megabytes_need_little_memory(kept_as):
    size = 300_000_000
    if kept_as == ZIP:
        data = _zip_of(PIECE, size)
    else:
        head = tarred({CONFIG: b"{}"})[: 1536 - 512] + header(tarfile.REGTYPE, size, WEIGHTS)
        data = gzip.compress(head) + gzip.compress(PIECE) * 30 + gzip.compress(bytes(1024))
    read, codes, peak = _measured(data, kept_as)
    assert codes == set()
    assert read == size + 2
    assert peak < MEMORY_BYTES / 2


@pytest.mark.parametrize("kept_as", [ZIP, TGZ])
def test_a_gigabyte_of_zeros_is_refused_before_it_is_unpacked(kept_as):
    size = 1024**3
    if kept_as == ZIP:
        data = _zip_of(bytes(10_000_000), size)
    else:
        head = tarred({CONFIG: b"{}"})[: 1536 - 512] + header(tarfile.REGTYPE, size, WEIGHTS)
        data = gzip.compress(head) + gzip.compress(bytes(16 * 1024 * 1024)) * 64
    assert len(data) < 5_000_000
    read, codes, _ = _measured(data, kept_as)
    assert codes == {"archive_inflated"}
    assert read < 2 * INFLATED_BYTES


def _zip_of(piece: bytes, size: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(CONFIG, "{}")
        with archive.open(WEIGHTS, "w") as file:
            for _ in range(size // len(piece)):
                file.write(piece)
    return out.getvalue()


def _measured(data: bytes, kept_as: str) -> tuple[int, set[str], int]:
    """Return how many bytes came out, the codes of the findings, and the peak of memory in bytes."""
    read = 0

    def put(file: str, chunks: object) -> None:
        nonlocal read
        for chunk in chunks:
            read += len(chunk)

    tracemalloc.start()
    try:
        findings = unpack(Bytes(data), kept_as, put)
        return read, {finding.code for finding in findings}, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


WHOLE = {ZIP: zipped(FILES), TAR: tarred(FILES), TGZ: gzip.compress(tarred(FILES), mtime=0)}


@settings(max_examples=examples(300))
@given(st.sampled_from([ZIP, TAR, TGZ]), st.data())
def test_no_changed_archive_crashes_it(kept_as, data):
    mutated = bytearray(WHOLE[kept_as])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(
            st.one_of(st.integers(0, len(mutated) - 1), st.integers(-400, -1), st.integers(0, 700))
        )
        mutated[at % len(mutated)] = data.draw(st.integers(0, 255))
    out, codes = unpacked(bytes(mutated), kept_as)
    assert codes or set(out) == set(FILES)
