"""A `libnuma.so.1` for machines that have none: vLLM's CPU build does not load without that file.

vLLM calls libnuma only to bind its memory to a node, and doesn't do that when `numa_available()` returns -1.
This library returns just that, so its other functions are never called. Where the real library is installed,
the real one is used. Standard library only.
"""

import ctypes
import platform
import struct
from pathlib import Path

NAME = "libnuma.so.1"
# What vLLM's extension imports, by the version that it asks for (`nm -D vllm/_C.abi3.so`, vLLM 0.32).
SYMBOLS = {
    "numa_available": "libnuma_1.1",
    "numa_migrate_pages": "libnuma_1.1",
    "numa_set_strict": "libnuma_1.1",
    "numa_bitmask_free": "libnuma_1.2",
    "numa_get_mems_allowed": "libnuma_1.2",
    "numa_parse_nodestring": "libnuma_1.2",
    "numa_set_interleave_mask": "libnuma_1.2",
    "numa_set_membind": "libnuma_1.2",
}
VERSIONS = (NAME, "libnuma_1.1", "libnuma_1.2")  # the first one names the file itself
# ELF machine number, then `return -1` in that machine's code.
MACHINES = {
    "x86_64": (62, bytes.fromhex("b8ffffffffc3")),  # mov eax, -1; ret
    "aarch64": (183, bytes.fromhex("00008012c0035fd6")),  # mov w0, #-1; ret
}
PAGE = 0x10000  # the largest page of either machine
LOAD = 1
DYNAMIC = 2
GNU_STACK = 0x6474E551
RUN = 1
WRITE = 2
READ = 4


def is_missing() -> bool:
    """Return whether this machine has no libnuma."""
    try:
        ctypes.CDLL(NAME)
    except OSError:
        return True
    return False


def write_library(folder: Path) -> Path:
    """Write the library into a folder and return that folder, for LD_LIBRARY_PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    # Renamed into place: another engine that starts now never loads half a file.
    partial = folder / f"{NAME}.partial"
    partial.write_bytes(build_library(platform.machine()))
    partial.rename(folder / NAME)
    return folder


def build_library(machine: str) -> bytes:
    """Return an ELF shared library whose functions all return -1.

    The layout is that of the System V ABI (gABI, chapters 4 and 5) with GNU symbol versions (LSB, "Symbol
    Versioning"): without those, glibc stops at an assertion when vLLM asks for `numa_available@libnuma_1.1`.
    """
    number, code = MACHINES[machine]
    names = list(SYMBOLS)
    strings, offset_of = _strings([*VERSIONS, *names])
    # The first entry of every ELF symbol table is empty.
    symbols = bytes(24)
    for name in names:  # a global function each; its address is filled in below
        symbols += struct.pack("<IBBHQQ", offset_of[name], 0x12, 0, 1, 0, len(code))
    indexes = [VERSIONS.index(SYMBOLS[name]) + 1 for name in names]
    parts = {
        "hash": _hash_table(names),
        "symbols": symbols,
        "strings": strings,
        "versions": struct.pack(f"<{1 + len(names)}H", 0, *indexes),
        "definitions": _version_definitions(offset_of),
        "code": code,
    }
    address_of = _place_parts(parts, start=64 + 4 * 56)
    text_size = address_of["code"] + len(code)
    dynamic_at = PAGE  # on a page of its own: no page is both written and run
    entries = [
        (4, address_of["hash"]),
        (5, address_of["strings"]),
        (6, address_of["symbols"]),
        (10, len(strings)),
        (11, 24),
        (14, offset_of[NAME]),
        (0x6FFFFFF0, address_of["versions"]),
        (0x6FFFFFFC, address_of["definitions"]),
        (0x6FFFFFFD, len(VERSIONS)),
        (0, 0),
    ]
    dynamic = b"".join(struct.pack("<QQ", tag, value) for tag, value in entries)
    size = dynamic_at + len(dynamic)
    parts["symbols"] = _with_address(symbols, address_of["code"])
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, number, 1, 0, 64, 0, 0, 64, 56, 4, 64, 0, 0)
    header += _segment(LOAD, READ | RUN, at=0, size=text_size, align=PAGE)
    header += _segment(LOAD, READ | WRITE, at=dynamic_at, size=len(dynamic), align=PAGE)  # glibc writes in it
    header += _segment(DYNAMIC, READ | WRITE, at=dynamic_at, size=len(dynamic), align=8)
    # Without this one glibc wants a stack that can be run.
    header += _segment(GNU_STACK, READ | WRITE, at=0, size=0, align=16)
    image = bytearray(size)
    image[: len(header)] = header
    for name, part in parts.items():
        image[address_of[name] : address_of[name] + len(part)] = part
    image[dynamic_at:] = dynamic
    return bytes(image)


def _segment(kind: int, flags: int, *, at: int, size: int, align: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, flags, at, at, at, size, size, align)


def _strings(texts: list[str]) -> tuple[bytes, dict[str, int]]:
    """Return the string table and where in it each text begins."""
    table = b"\0"
    offset_of = {}
    for text in texts:
        offset_of[text] = len(table)
        table += text.encode() + b"\0"
    return table, offset_of


def _hash_table(names: list[str]) -> bytes:
    """Return a hash table of one bucket: a chain through all symbols."""
    # Entry i says which symbol comes after symbol i; the last one ends the chain with 0.
    chain = [*range(1, len(names) + 1), 0]
    return struct.pack(f"<{3 + len(chain)}I", 1, len(chain), 1, *chain)


def _version_definitions(offset_of: dict[str, int]) -> bytes:
    definitions = b""
    for index, version in enumerate(VERSIONS, 1):
        is_last = index == len(VERSIONS)
        flags = 1 if version == NAME else 0
        entry = (1, flags, index, 1, elf_hash(version), 20, 0 if is_last else 28)
        definitions += struct.pack("<HHHHIII", *entry)
        definitions += struct.pack("<II", offset_of[version], 0)
    return definitions


def elf_hash(name: str) -> int:
    """Return the hash that the System V ABI defines for names of symbols and versions."""
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ (high >> 24)) & ~high
    return value


def _place_parts(parts: dict[str, bytes], *, start: int) -> dict[str, int]:
    """Return where each part begins, on multiples of 8."""
    address_of = {}
    at = start
    for name, part in parts.items():
        at = (at + 7) // 8 * 8
        address_of[name] = at
        at += len(part)
    return address_of


def _with_address(symbols: bytes, address: int) -> bytes:
    filled = bytearray(symbols)
    for at in range(24, len(symbols), 24):
        struct.pack_into("<Q", filled, at + 8, address)
    return bytes(filled)
