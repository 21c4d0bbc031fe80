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
HEADER_LIMIT_BYTES = MIB  # an adapter of a 70-billion model needs 0.2 MiB

LENGTH_BYTES = 8
GIT_LFS_POINTER = b"version https://git-lfs"
SAFE_SAVE = "Save it with model.save_pretrained(folder, safe_serialization=True)."

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


def require_files(folder: Path) -> None:
    """Raise FolderRejected for a folder that is none, or that lacks a file; nothing is read of them."""
    if not folder.is_dir():
        fix = "Use the folder written by PEFT."
        raise FolderRejected(findings=[_finding("folder_missing", f"{folder} is not a folder.", fix)])
    missing = [_missing_file(folder, name) for name in LIMITS_BYTES if not (folder / name).is_file()]
    if missing:
        raise FolderRejected(findings=missing)


def read_folder(folder: Path) -> dict[str, LocalFile]:
    """Return the files of an adapter by their names. Raises FolderRejected with every finding."""
    require_files(folder)
    files = {}
    findings: list[Finding] = []
    for name in LIMITS_BYTES:
        files[name] = _read_file(folder / name, findings)
    if not findings:
        _check_config(folder / CONFIG_FILE, findings)
        fault = _header_fault(folder / WEIGHTS_FILE)
        if fault:
            sentence = f"{WEIGHTS_FILE} is not a valid safetensors file: {fault}."
            findings.append(_finding("not_safetensors", sentence))
    if findings:
        raise FolderRejected(findings=findings)
    return files


def _finding(code: str, sentence: str, fix: str = SAFE_SAVE) -> Finding:
    return {"code": code, "sentence": sentence, "fix": fix}


def _missing_file(folder: Path, name: str) -> Finding:
    """Return why a file is missing: often the weights are there as a pickle."""
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in PICKLE_ENDINGS)
    if name == WEIGHTS_FILE and pickles:
        sentence = f"{pickles[0]} is a pickle file, which can run code when opened, so it is not accepted."
        return _finding("file_pickle", sentence)
    inner = sorted(path.parent.name for path in folder.glob(f"*/{name}"))
    if inner:
        sentence = f"{name} is not in {folder} but in its subfolder {inner[-1]}."
        return _finding("file_missing", sentence, f"Push {folder / inner[-1]}.")
    return _finding("file_missing", f"{name} is missing in {folder}.")


def _read_file(path: Path, findings: list[Finding]) -> LocalFile:
    name, limit_bytes = path.name, LIMITS_BYTES[path.name]
    try:
        with path.open("rb") as opened:
            facts = os.stat(opened.fileno())
            sha256 = _digest(opened, limit_bytes)
            file = LocalFile(name, path, facts.st_size, facts.st_mtime_ns, sha256)
            is_changed = file.is_changed(opened)
    except OSError as error:
        sentence = f"{name} can't be read: {error.strerror}."
        found = _finding("file_unreadable", sentence, "Check the file's permissions.")
        raise FolderRejected(findings=[found]) from error
    if file.size_bytes == 0:
        findings.append(_finding("file_empty", f"{name} is empty."))
    elif file.size_bytes > limit_bytes:
        sentence = f"{name} is {file.size_bytes:,} bytes; the limit is {limit_bytes:,}."
        fix = "Train with a lower rank, or save the weights in bfloat16."
        findings.append(_finding("file_too_large", sentence, fix))
    elif is_changed:
        fix = "Push the folder when it is complete."
        findings.append(_finding("file_changing", f"{name} is still being written.", fix))
    return file


def _digest(opened: BinaryIO, limit_bytes: int) -> str:
    """Return the SHA-256 of a file, in hex; of one that is too large to be sent, of its beginning."""
    digest = hashlib.sha256()
    left = limit_bytes
    while left and (chunk := opened.read(min(left, MIB))):
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest()


def _check_config(path: Path, findings: list[Finding]) -> None:
    try:
        config: object = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        findings.append(_finding("config_not_json", f"{CONFIG_FILE} is not JSON ({error})."))
        return
    if not isinstance(config, dict):
        findings.append(_finding("config_not_json", f"{CONFIG_FILE} is not a JSON object."))
    elif config.get("peft_type") != "LORA":
        sentence = f"peft_type is {config.get('peft_type')!r}; only LORA is supported."
        findings.append(_finding("peft_type", sentence, "Train a LoRA adapter."))


def _header_fault(path: Path) -> str:
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
        return _tensors_fault(file.read(length_bytes), size_bytes - LENGTH_BYTES - length_bytes)


def _tensors_fault(text: bytes, data_bytes: int) -> str:
    """Return what is wrong with the tensors' places in the file, or ""."""
    try:
        header = json.loads(text)
        tensors = [entry for name, entry in header.items() if name != "__metadata__"]
        ends = [int(entry["data_offsets"][1]) for entry in tensors]
    except (ValueError, RecursionError):
        return "its header is not JSON"
    except (TypeError, LookupError, OverflowError):
        return "an entry of its header has no data_offsets"
    surplus_bytes = data_bytes - max(ends, default=0)
    if not ends:
        return "it contains no tensors"
    if surplus_bytes < 0:
        return f"it is {-surplus_bytes:,} bytes shorter than its header says"
    return f"{surplus_bytes:,} bytes after the last tensor belong to no tensor" if surplus_bytes else ""
