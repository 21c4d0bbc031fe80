"""The child: a file on standard input, its documents as JSON on standard output.

It opens archives itself, and reads each document in a forked process: if a document takes too long or crashes
its process, only that document is lost.
"""

import json
import os
import select
import signal
import sys
import time
from dataclasses import asdict
from typing import NoReturn

from training.reading import archives, confinement, readers
from training.reading.documents import ReadDocument, Refused, parse_document, refuse_document
from training.reading.limits import MIB, ReadingLimits

PIPE_BYTES = 256 * 1024
STDOUT = 1


def main() -> None:
    """Read one file and answer."""
    settings = json.loads(sys.stdin.buffer.readline())
    limits = ReadingLimits(**settings["limits"])
    confinement.bound_resources(limits)
    content = sys.stdin.buffer.read()
    documents = read_file(settings["name"], content, limits)
    fields = [asdict(document) for document in documents]
    sys.stdout.buffer.write(json.dumps(fields, ensure_ascii=False).encode())


def read_file(name: str, content: bytes, limits: ReadingLimits) -> list[ReadDocument]:
    """Return the documents of a file."""
    format_name = ""
    try:
        format_name = readers.recognise(name, content)
        if format_name in archives.FORMATS:
            return _read_archive(format_name, content, limits)
        readers.load(format_name)
        _lock()
        return [_read_apart(name, format_name, content, limits)]
    except Refused as refused:
        return [refuse_document(name, refused, format_name)]
    except MemoryError:
        return [refuse_document(name, Refused("needs_memory"), format_name)]


def _lock() -> None:
    """Give up files and network. Everything must be imported by now."""
    confinement.leave_network()
    confinement.allow_only_pipes()


def _read_archive(format_name: str, content: bytes, limits: ReadingLimits) -> list[ReadDocument]:
    """Return the documents of an archive. Raises Refused, MemoryError."""
    readers.load_all()
    _lock()
    deadline_s = time.monotonic() + limits.file_wall_s - limits.document_wall_s
    documents = []
    text_bytes = slow = 0
    for member in archives.list_members(format_name, content, limits):
        if time.monotonic() > deadline_s:
            document = refuse_document(member.name, Refused("archive_slow", limit_s=int(limits.file_wall_s)))
        elif slow == limits.slow_members:
            document = refuse_document(member.name, Refused("archive_given_up", limit=limits.slow_members))
        else:
            document = _read_member(member, limits)
        slow += bool(document.refusal and document.refusal.code == "too_slow")
        documents.append(document)
        text_bytes += len(document.text.encode())
        if text_bytes > limits.text_bytes:
            raise Refused("too_long", limit_mb=limits.text_bytes // MIB)
    if not documents:
        raise Refused("archive_empty")
    return documents


def _read_member(member: archives.Member, limits: ReadingLimits) -> ReadDocument:
    format_name = ""
    try:
        content = member.read()
        format_name = readers.recognise(member.name, content)
        if format_name in archives.FORMATS:
            raise Refused("archive_nested")
        return _read_apart(member.name, format_name, content, limits)
    except archives.ArchiveRefused:
        raise
    except Refused as refused:
        return refuse_document(member.name, refused, format_name)


def _read_apart(name: str, format_name: str, content: bytes, limits: ReadingLimits) -> ReadDocument:
    """Return a document, read in a process of its own within the limits of one document."""
    receiving, sending = os.pipe()
    process_id = os.fork()
    if process_id == 0:
        _read_and_exit(sending, name, format_name, content, limits)
    os.close(sending)
    answer, is_late = _receive(receiving, limits)
    os.close(receiving)
    if is_late:
        os.kill(process_id, signal.SIGKILL)
    _, status = os.waitpid(process_id, 0)
    if is_late or os.waitstatus_to_exitcode(status) == -signal.SIGXCPU:
        return refuse_document(name, Refused("too_slow", limit_s=limits.document_cpu_s), format_name)
    try:
        return parse_document(json.loads(answer))
    except (ValueError, TypeError, KeyError, RecursionError):
        # A C library crashed the process: the file is damaged, or memory ran out.
        return refuse_document(name, Refused("damaged"), format_name)


def _receive(receiving: int, limits: ReadingLimits) -> tuple[bytes, bool]:
    """Return what the other end of a pipe writes until it closes, and whether that took too long."""
    deadline_s = time.monotonic() + limits.document_wall_s
    parts = []
    left_bytes = limits.answer_bytes
    while left_bytes > 0:
        readable, _, _ = select.select([receiving], [], [], max(0, deadline_s - time.monotonic()))
        if not readable:
            return b"", True
        part = os.read(receiving, PIPE_BYTES)
        if not part:
            break
        parts.append(part)
        left_bytes -= len(part)
    return b"".join(parts), False


def _read_and_exit(
    sending: int, name: str, format_name: str, content: bytes, limits: ReadingLimits
) -> NoReturn:
    """Read a document, write it as JSON, and exit without any of the parent's cleanup."""
    try:
        os.dup2(sending, STDOUT)
        confinement.allow_nothing_new()
        document = readers.read(name, format_name, content, limits)
        unwritten = memoryview(json.dumps(asdict(document), ensure_ascii=False).encode())
        while unwritten:
            unwritten = unwritten[os.write(STDOUT, unwritten) :]
    finally:
        os._exit(0)
