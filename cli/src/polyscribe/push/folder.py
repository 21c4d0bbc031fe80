"""The check of a folder before anything is sent: what the service would refuse at first sight.

It reads names, sizes, the config and the header of the weights; the service reads every weight. That header
is 8 bytes of length, JSON, then the tensors without gaps: https://github.com/huggingface/safetensors#format.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from polyscribe.errors import FolderRejected

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
MIB = 1024 * 1024
# As the service takes them; a test compares.
LIMITS_BYTES = {CONFIG_FILE: 64 * 1024, WEIGHTS_FILE: 1024 * MIB}
PICKLE_ENDINGS = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
SAFE_SAVE = "Save it with model.save_pretrained(folder, safe_serialization=True)."

LENGTH_BYTES = 8
HEADER_LIMIT_BYTES = 1024 * 1024  # as the service reads it: an adapter of a 70-billion model needs 0.2 MiB
GIT_LFS_POINTER = b"version https://git-lfs"

Finding = dict[str, str]


@dataclass(frozen=True)
class LocalFile:
    """A file to send, and how it looked when it was checked."""

    name: str
    path: Path
    size_bytes: int
    modified_ns: int
    sha256: str

    def is_changed(self, opened: BinaryIO) -> bool:
        """Return whether the file that was opened is another one, or was written to since."""
        facts = os.stat(opened.fileno())
        return (facts.st_size, facts.st_mtime_ns) != (self.size_bytes, self.modified_ns)


@dataclass(frozen=True)
class AdapterFolder:
    """A folder that holds an adapter."""

    path: Path
    files: tuple[LocalFile, ...]

    @property
    def sizes(self) -> dict[str, int]:
        """Return each file's name and size in bytes."""
        return {file.name: file.size_bytes for file in self.files}

    def file(self, name: str) -> LocalFile:
        """Return a file by its name."""
        return next(file for file in self.files if file.name == name)


def require_files(folder: Path) -> None:
    """Raise FolderRejected for a folder that is none, or that lacks a file; nothing is read of them."""
    if not folder.is_dir():
        sentence = f"{folder} is not a folder."
        raise FolderRejected([finding("folder_missing", sentence, "Use the folder written by PEFT.")])
    missing = [_missing_file(folder, name) for name in LIMITS_BYTES if not (folder / name).is_file()]
    if missing:
        raise FolderRejected(missing)


def read_folder(folder: Path) -> AdapterFolder:
    """Return the adapter in a folder. Raises FolderRejected with every finding."""
    require_files(folder)
    findings: list[Finding] = []
    files = []
    for name in LIMITS_BYTES:
        file = _read_file(folder, name, findings)
        if file:
            files.append(file)
    if not findings:
        _check_config(folder / CONFIG_FILE, findings)
        _check_weights(folder / WEIGHTS_FILE, findings)
    if findings:
        raise FolderRejected(findings)
    return AdapterFolder(folder.resolve(), tuple(files))


def finding(code: str, sentence: str, fix: str) -> Finding:
    """Return a finding in the form of the service's report."""
    return {"code": code, "sentence": sentence, "fix": fix}


def _read_file(folder: Path, name: str, findings: list[Finding]) -> LocalFile | None:
    path = folder / name
    try:
        with path.open("rb") as opened:
            facts = os.stat(opened.fileno())
            file = LocalFile(
                name, path, facts.st_size, facts.st_mtime_ns, _digest(opened, LIMITS_BYTES[name])
            )
            is_changed = file.is_changed(opened)
    except OSError as error:
        sentence = f"{name} can't be read: {error.strerror}."
        findings.append(finding("file_unreadable", sentence, "Check the file's permissions."))
        return None
    limit_bytes = LIMITS_BYTES[name]
    if facts.st_size == 0:
        findings.append(finding("file_empty", f"{name} is empty.", SAFE_SAVE))
    elif facts.st_size > limit_bytes:
        sentence = f"{name} is {facts.st_size:,} bytes; the limit is {limit_bytes:,}."
        fix = "Train with a lower rank, or save the weights in bfloat16."
        findings.append(finding("file_too_large", sentence, fix))
    elif is_changed:
        sentence = f"{name} is still being written."
        findings.append(finding("file_changing", sentence, "Push the folder when it is complete."))
    return file


def _digest(opened: BinaryIO, limit_bytes: int) -> str:
    """Return the SHA-256 of a file, in hex; of one that is too large to be sent, of its beginning."""
    digest = hashlib.sha256()
    left = limit_bytes
    while left and (chunk := opened.read(min(left, MIB))):
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest()


def _missing_file(folder: Path, name: str) -> Finding:
    """Return why a file is missing: often the weights are there as a pickle."""
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in PICKLE_ENDINGS)
    if name == WEIGHTS_FILE and pickles:
        sentence = f"{pickles[0]} is a pickle file, which can run code when opened, so it is not accepted."
        return finding("file_pickle", sentence, SAFE_SAVE)
    inner = sorted(path.parent.name for path in folder.glob(f"*/{name}"))
    if inner:
        sentence = f"{name} is not in {folder} but in its subfolder {inner[-1]}."
        return finding("file_missing", sentence, f"Push {folder / inner[-1]}.")
    return finding("file_missing", f"{name} is missing in {folder}.", SAFE_SAVE)


def _check_config(path: Path, findings: list[Finding]) -> None:
    try:
        config: object = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        findings.append(finding("config_not_json", f"{CONFIG_FILE} is not JSON ({error}).", SAFE_SAVE))
        return
    if not isinstance(config, dict):
        findings.append(finding("config_not_json", f"{CONFIG_FILE} is not a JSON object.", SAFE_SAVE))
    elif config.get("peft_type") != "LORA":
        sentence = f"peft_type is {config.get('peft_type')!r}; only LORA is supported."
        findings.append(finding("peft_type", sentence, "Train a LoRA adapter."))


def _check_weights(path: Path, findings: list[Finding]) -> None:
    fault = header_fault(path)
    if fault:
        sentence = f"{WEIGHTS_FILE} is not a valid safetensors file: {fault}."
        findings.append(finding("not_safetensors", sentence, SAFE_SAVE))


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
