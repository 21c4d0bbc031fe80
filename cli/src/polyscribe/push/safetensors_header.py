"""The header of a safetensors file: 8 bytes of length, JSON, then the tensors without gaps.

The format is https://github.com/huggingface/safetensors#format.
"""

import json
from pathlib import Path

LENGTH_BYTES = 8
HEADER_LIMIT_BYTES = 1024 * 1024  # as the service reads it: an adapter of a 70-billion model needs 0.2 MiB
GIT_LFS_POINTER = b"version https://git-lfs"


def header_fault(path: Path) -> str:
    """Return what is wrong with a file's header, in half a sentence, or ""."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(LENGTH_BYTES + 1)
        length_bytes = int.from_bytes(start[:LENGTH_BYTES], "little")
        if GIT_LFS_POINTER.startswith(start):
            return "it is a Git LFS pointer; run git lfs pull"
        if start[LENGTH_BYTES:] != b"{":
            return "it has no header"
        if length_bytes > HEADER_LIMIT_BYTES:
            return f"its header claims to be {length_bytes:,} bytes"
        if length_bytes > size_bytes - LENGTH_BYTES:
            return "its header is truncated"
        file.seek(LENGTH_BYTES)
        text = file.read(length_bytes)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        return "its header is not JSON"
    return _entries_fault(header, data_bytes=size_bytes - LENGTH_BYTES - length_bytes)


def _entries_fault(header: dict[str, object], *, data_bytes: int) -> str:
    """Return what is wrong with the tensors' places in the file, or ""."""
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    if not tensors:
        return "it contains no tensors"
    ends = [_end_of(entry) for entry in tensors.values()]
    if None in ends:
        return "an entry of its header has no data_offsets"
    last_end = max(end for end in ends if end is not None)
    if last_end > data_bytes:
        return f"it is {last_end - data_bytes:,} bytes shorter than its header says"
    if last_end < data_bytes:
        return f"{data_bytes - last_end:,} bytes after the last tensor belong to no tensor"
    return ""


def _end_of(entry: object) -> int | None:
    """Return where a tensor ends, counted from the end of the header; None for a malformed entry."""
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not isinstance(offsets, list) or len(offsets) != 2:
        return None
    end = offsets[1]
    return end if type(end) is int and end >= 0 else None
