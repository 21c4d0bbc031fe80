"""What a reader can't do any more. Tried from inside of it, as code in a hostile document would."""

import json
import os
import subprocess
import sys

import psutil

from training.reading import LIMITS, read_document
from training.reading.sandbox import SOURCES

PROBE = """
import json, os, resource, socket, subprocess, sys
sys.path.insert(0, sys.argv[1])
from training.reading import confinement
from training.reading.limits import LIMITS

def attempt(action):
    try:
        action()
    except BaseException as error:
        return type(error).__name__
    return "done"

confinement.bound_resources(LIMITS)
confinement.leave_network()
confinement.allow_only_pipes()
confinement.allow_nothing_new()
print(json.dumps({
    "file": attempt(lambda: open("/etc/passwd")),
    "new file": attempt(lambda: open("/tmp/x", "w")),
    "socket": attempt(lambda: socket.socket()),
    "pipe": attempt(lambda: os.pipe()),
    "program": attempt(lambda: subprocess.run(["/bin/true"])),
    "memory": attempt(lambda: bytearray(LIMITS.memory_bytes)),
}))
"""


def run_reader(program: str) -> str:
    """Return what a program prints in an interpreter that is started as a reader is."""
    command = [sys.executable, "-I", "-c", program, str(SOURCES)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env={}).stdout


def test_nothing_new_can_be_opened_and_memory_is_bounded():
    refused = dict.fromkeys(["file", "new file", "socket", "pipe", "program"], "OSError")
    assert json.loads(run_reader(PROBE)) == refused | {"memory": "MemoryError"}


def test_a_reader_loads_neither_django_nor_a_library_that_it_does_not_need():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from training.reading import child, readers; "
        "readers.load('txt'); print(*sys.modules)"
    )
    loaded = run_reader(program).split()
    assert "training.reading.child" in loaded
    assert not {"django", "lxml", "pypdfium2_raw", "markdown_it", "numpy", "ssl", "asyncio"} & set(loaded)


def test_no_child_is_left_and_no_descriptor_open():
    this = psutil.Process()
    before = this.children(recursive=True), os.listdir("/proc/self/fd")
    for _ in range(3):
        read_document("a.txt", b"Some words.")
    assert (this.children(recursive=True), os.listdir("/proc/self/fd")) == before


def test_a_child_that_can_not_start_is_our_fault(monkeypatch):
    monkeypatch.setattr("training.reading.sandbox.START", "raise SystemExit(1)")
    (document,) = read_document("a.txt", b"Some words.")
    assert document.refusal
    assert document.refusal.code == "reader_failed"


def test_a_file_beyond_the_limit_starts_no_child(monkeypatch):
    monkeypatch.setattr("training.reading.run_child", None)
    (document,) = read_document("a.txt", bytes(LIMITS.file_bytes + 1))
    assert document.refusal
    assert document.refusal.code == "too_large"
