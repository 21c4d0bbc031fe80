"""The processes that compile grammars and follow them: `python grammar_server.py FD`.

Three kinds, each forked from the one before, so that none of them loads anything again:

    server      has the tokenizer; one for each engine
    compiler    has one compiled grammar; one for each grammar that is kept
    follower    follows that grammar through the answer of one sequence

`grammar_processes.py` asks them, and kills one that takes too long: nobody else notices. Nothing here imports
torch or vLLM, so a fork takes a millisecond.
"""

import array
import ctypes
import math
import os
import resource
import signal
import socket
import struct
import sys
import threading
import types
from pathlib import Path
from typing import Any

import numpy as np

HEADER = struct.Struct("=BI")  # kind, bytes that follow
FORK, COMPILE, START, ACCEPT, ROLLBACK, VALIDATE = range(6)
READY, INVALID, MASK, ENDED, STUCK, COUNT = range(6)
MAX_PART_BYTES = 256 * 1024
PR_SET_PDEATHSIG = 1
COMPILER_NICENESS = 5  # a step of the engine comes before a new grammar
MAX_MEMORY_BYTES = 256 * 1024**2  # beyond what the process has when it is forked
# The engine measures, and kills much earlier. This is for an engine that has died.
MAX_PROCESSOR_S = 120


def load_bindings() -> Any:
    """Return xgrammar's bindings without the Python around them, which imports torch and transformers."""
    folder = next(Path(entry) / "xgrammar" for entry in sys.path if (Path(entry) / "xgrammar").is_dir())
    package = types.ModuleType("xgrammar")
    package.__path__ = [str(folder)]
    sys.modules["xgrammar"] = package
    sys.modules["torch"] = None  # type: ignore[assignment]  # tvm_ffi works without it
    from xgrammar import load_binding  # noqa: F401, PLC0415  registers the library
    from xgrammar.tvm_ffi_binding import _ffi_api  # noqa: PLC0415  needs the package above

    return _ffi_api


def receive_message(connection: socket.socket) -> tuple[int, bytes]:
    """Return the kind and the content of the next message. Raises OSError where the other side has closed.

    Each side waits for the other's answer before it sends more, so one call takes what is there.
    """
    data = b""
    size = HEADER.size
    while len(data) < size:
        part = connection.recv(MAX_PART_BYTES)
        if not part:
            raise ConnectionResetError
        data = data + part if data else part
        if len(data) >= HEADER.size:
            size = HEADER.size + HEADER.unpack_from(data)[1]
    return data[0], data[HEADER.size :]


def send_message(connection: socket.socket, kind: int, content: bytes = b"") -> None:
    """Send a message in one piece."""
    connection.sendall(HEADER.pack(kind, len(content)) + content)


def fork_on_request(control: socket.socket) -> socket.socket:
    """Fork for each socket that comes, and answer with the process's id. Returns in the new processes."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            wait_for_children()
            sys.exit()
        connection = socket.socket(fileno=descriptors[0])
        parent_id = os.getpid()
        try:
            process_id = os.fork()
        except OSError:  # the machine, or the container, has no more processes
            connection.close()
            send_message(control, INVALID)
            continue
        if process_id == 0:
            control.close()
            end_with_parent(parent_id)
            return connection
        connection.close()
        send_message(control, READY, struct.pack("=I", process_id))


def wait_for_children() -> None:
    """Return once no forked process is left: those that follow a grammar end with this process."""
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return


def end_with_parent(parent_id: int) -> None:
    """Have the kernel end this process when the one that forked it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_id:  # it ended before the kernel was asked
        os._exit(0)


def bound_resources() -> None:
    """Bound the memory that this process may still take, and its processor time."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size_bytes = pages * resource.getpagesize() + MAX_MEMORY_BYTES
    # Soft limits: what is forked from this process sets its own.
    resource.setrlimit(resource.RLIMIT_AS, (size_bytes, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_PROCESSOR_S, resource.RLIM_INFINITY))


# The compiler's method for each kind but JSON, with its further arguments; all others are grammars (EBNF).
COMPILERS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "regex": ("compile_regex", ()),
    "structural_tag": ("compile_structural_tag", ()),
    "lark": ("compile_lark", ([], [])),
}


class Compilation(threading.Thread):
    """Compiles a grammar in a thread of its own, whose niceness is its own on Linux, too."""

    def __init__(self, bindings: Any, tokenizer: Any, kind: str, *, text: str, has_whitespace: bool) -> None:
        super().__init__()
        self.grammar: Any = None
        self.reason = ""
        self._compiler = bindings.GrammarCompiler(tokenizer, 1, False, -1)
        self._kind = kind
        self._text = text
        self._has_whitespace = has_whitespace

    def run(self) -> None:
        """Set `grammar`, or `reason` where it is none."""
        os.setpriority(os.PRIO_PROCESS, 0, COMPILER_NICENESS)
        try:
            self.grammar = self._compile()
        except Exception as error:  # noqa: BLE001  whatever the bindings raise, this grammar is none
            self.reason = str(error)

    def _compile(self) -> Any:
        """Compile as vLLM's XgrammarBackend does."""
        if self._kind == "json":
            separators = None if self._has_whitespace else (",", ":")
            return self._compiler.compile_json_schema(
                self._text, self._has_whitespace, None, separators, True, None, False
            )
        name, more = COMPILERS.get(self._kind, ("compile_grammar_from_strings", ("root",)))
        return getattr(self._compiler, name)(self._text, *more)


class Follower:
    """Follows one grammar through one sequence, and answers each message with the next tokens' mask."""

    def __init__(self, bindings: Any, grammar: Any, stop_token_ids: list[int], *, mask_words: int) -> None:
        self._matcher = bindings.GrammarMatcher(grammar, stop_token_ids or None, False, -1, None)
        self._mask = np.full((1, mask_words), -1, dtype=np.int32)

    def next_mask(self) -> tuple[int, bytes]:
        """Return the mask of the tokens that may follow now."""
        if self._matcher.is_terminated():
            return ENDED, b""
        self._matcher.fill_next_token_bitmask(self._mask, 0, False)
        if not self._mask.any():  # nothing matches, as with `[^\s\S]`
            return STUCK, b""
        return MASK, self._mask.tobytes()

    def answer(self, kind: int, content: bytes) -> tuple[int, bytes]:
        """Return the answer to one message."""
        numbers = array.array("i", content)
        if kind == ACCEPT:
            for token in numbers:
                if self._matcher.is_terminated():
                    break
                # No token of the mask could be taken: `min_tokens` forbids the one that ends the answer.
                if not self._matcher.accept_token(token, False):
                    return STUCK, b""
        elif kind == ROLLBACK:
            self._matcher.rollback(numbers[0])
        elif kind == VALIDATE:
            return COUNT, struct.pack("=I", self._count_valid(numbers))
        return self.next_mask()

    def _count_valid(self, tokens: "array.array[int]") -> int:
        """Return how many of some tokens may follow, without following them."""
        count = 0
        for token in tokens:
            if self._matcher.is_terminated() or not self._matcher.accept_token(token, False):
                break
            count += 1
        if count:
            self._matcher.rollback(count)
        return count


def serve() -> None:
    """Be the server, then a compiler, then a follower, until the other side closes."""
    control = socket.socket(fileno=int(sys.argv[1]))
    bindings = load_bindings()
    _, serialized = receive_message(control)
    tokenizer = bindings.TokenizerInfo.deserialize_json(serialized.decode())
    mask_words = math.ceil(tokenizer.vocab_size() / 32)
    send_message(control, READY)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the engine decides
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel forgets processes that ended

    connection = fork_on_request(control)  # from here on: a compiler
    bound_resources()
    _, content = receive_message(connection)
    kind, whitespace, text = content.decode().split("\n", 2)
    compilation = Compilation(bindings, tokenizer, kind, text=text, has_whitespace=whitespace == "any")
    compilation.start()
    compilation.join()
    if compilation.grammar is None:
        return send_message(connection, INVALID, compilation.reason.encode())
    send_message(connection, READY)

    connection = fork_on_request(connection)  # from here on: a follower
    bound_resources()
    _, content = receive_message(connection)
    follower = Follower(bindings, compilation.grammar, list(array.array("i", content)), mask_words=mask_words)
    send_message(connection, *follower.next_mask())
    while True:
        send_message(connection, *follower.answer(*receive_message(connection)))


def main() -> None:
    try:
        serve()
    except (SystemExit, OSError):  # the other side has closed
        os._exit(0)  # at once: a forked process has nothing to tidy up


if __name__ == "__main__":
    main()
