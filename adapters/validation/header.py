"""The header of a safetensors file, read by hand: 8 bytes of length, JSON, then the tensors without gaps.

The format is https://github.com/huggingface/safetensors#format; The readers in engines are less strict.
"""

import math
from dataclasses import dataclass
from typing import Any

from adapters.validation.findings import Findings
from adapters.validation.problems import Reason
from adapters.validation.sources import Source, read_exactly
from adapters.validation.strict_json import DuplicateKey, NotJson, is_text, load

LENGTH_BYTES = 8
# Parsed JSON takes up to 30 times its own size, so this bounds the memory that a hostile header can claim.
# An adapter for all layers of a 70-billion model needs 0.2 MiB; the format itself would allow 100 MB.
HEADER_LIMIT = 1024 * 1024
ITEM_BYTES = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"), 1),
}
MAX_DIMENSIONS = 8
MAX_COUNT = 2**53  # from here on, readers that parse numbers as doubles disagree
ENTRY_FIELDS = {"dtype", "shape", "data_offsets"}
PICKLE_MARKS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
OTHER_MARKS = {
    b"GGUF": Reason.GGUF,
    b"\x1f\x8b": Reason.GZIP,
    b"\x93NUMPY": Reason.NUMPY,
}


@dataclass(frozen=True)
class Tensor:
    """One tensor's place in the file: `length` bytes at `start`, counted from the file's first byte."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    length: int

    @property
    def end(self) -> int:
        """The position behind its last byte."""
        return self.start + self.length


@dataclass(frozen=True)
class Header:
    """The tensors in the order of the file; `is_sound` when they fill the file exactly, without overlap."""

    tensors: tuple[Tensor, ...]
    is_sound: bool


UNREADABLE = Header((), is_sound=False)


def read_header(source: Source, findings: Findings) -> Header:
    """Return the header of a safetensors file; what is wrong with it goes to `findings`."""
    before = findings.count
    text = _read_json(source, findings)
    if text is None:
        return UNREADABLE
    entries = _parse_json(text, findings)
    if entries is None:
        return UNREADABLE
    data_start = LENGTH_BYTES + len(text)
    _check_metadata(entries.pop("__metadata__", None), findings)
    tensors = []
    for name, entry in entries.items():
        tensor = _parse_entry(name, entry, data_start=data_start, findings=findings)
        if tensor:
            tensors.append(tensor)
    tensors.sort(key=lambda tensor: (tensor.start, tensor.length))
    if findings.count == before:
        _check_places(tensors, data_start=data_start, size=source.size, findings=findings)
    if not entries:
        findings.add("no_tensors")
    return Header(tuple(tensors), is_sound=findings.count == before)


def _read_json(source: Source, findings: Findings) -> bytes | None:
    """Return the header's JSON, unparsed, or None after a finding."""
    if source.size == 0:
        findings.add("weights_empty")
        return None
    start = read_exactly(source, 0, min(source.size, 64))
    claimed = int.from_bytes(start[:LENGTH_BYTES], "little")
    left = source.size - LENGTH_BYTES
    if left > 0 and start[LENGTH_BYTES : LENGTH_BYTES + 1] != b"{":  # the format wants it there
        _report_other_format(start, findings)
        return None
    if claimed > left:
        findings.add("header_cut", claimed=claimed, left=max(left, 0))
        return None
    if claimed > HEADER_LIMIT:
        findings.add("header_too_long", claimed=claimed, limit=HEADER_LIMIT)
        return None
    return read_exactly(source, LENGTH_BYTES, claimed)


def _report_other_format(start: bytes, findings: Findings) -> None:
    """Report what the first bytes show, when they are not a header's."""
    if start.startswith(PICKLE_MARKS):
        findings.add("weights_pickle")
    elif start.startswith(b"version https://git-lfs"):
        findings.add("weights_pointer")
    else:
        reason = Reason.WITHOUT_HEADER
        for mark, format_name in OTHER_MARKS.items():
            if start.startswith(mark):
                reason = format_name
        findings.add("not_safetensors", reason=reason())


def _parse_json(text: bytes, findings: Findings) -> dict[str, Any] | None:
    try:
        entries: dict[str, Any] = load(text)  # an object, for it begins with "{"
        return entries
    except DuplicateKey as error:
        findings.add("header_duplicate", name=str(error))
    except NotJson as error:
        findings.add("not_safetensors", reason=Reason.HEADER_NOT_JSON(error=error.reason))
    return None


def _check_metadata(metadata: object, findings: Findings) -> None:
    if metadata is None:
        return
    if isinstance(metadata, dict):
        texts = [*metadata.keys(), *metadata.values()]
        if all(is_text(text) for text in texts):
            return
    findings.add("header_metadata")


def _parse_entry(name: str, entry: Any, *, data_start: int, findings: Findings) -> Tensor | None:
    """Return one entry as a Tensor, or None after a finding."""
    reason = _entry_fault(name, entry)
    if reason:
        findings.add("header_entry", tensor=name, reason=reason())
        return None
    dtype = entry["dtype"]
    shape = entry["shape"]
    start, end = entry["data_offsets"]
    if dtype not in ITEM_BYTES:
        findings.add("dtype", tensor=name, dtype=dtype)
        return None
    expected = math.prod(shape) * ITEM_BYTES[dtype]
    actual = end - start
    if expected != actual:
        findings.add("size_lies", tensor=name, shape=shape, dtype=dtype, expected=expected, actual=actual)
        return None
    return Tensor(name, dtype, tuple(shape), data_start + start, expected)


def _entry_fault(name: str, entry: Any) -> Reason | None:
    """Return what is malformed in an entry, or None."""
    if not is_text(name):
        return Reason.HALF_CHARACTER
    if not isinstance(entry, dict) or entry.keys() != ENTRY_FIELDS:
        return Reason.FIELDS_MISSING
    if not isinstance(entry["dtype"], str):
        return Reason.DTYPE_NO_TEXT
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _are_counts(shape) or len(shape) > MAX_DIMENSIONS:
        return Reason.SHAPE_NO_LIST
    if not _are_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        return Reason.OFFSETS_NO_PAIR
    return None


def _are_counts(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < MAX_COUNT for value in values)


def _check_places(tensors: list[Tensor], *, data_start: int, size: int, findings: Findings) -> None:
    """Report overlaps and gaps, and an end of the data that is not the end of the file."""
    position = data_start
    for tensor in tensors:
        if tensor.start < position:
            findings.add("offsets_overlap", tensor=tensor.name)
        elif tensor.start > position:
            findings.add("offsets_gap", tensor=tensor.name, gap=tensor.start - position)
        position = max(position, tensor.end)
    if position > size:
        findings.add("file_truncated", missing=position - size)
    elif position < size and tensors:
        findings.add("file_trailing", extra=size - position)
