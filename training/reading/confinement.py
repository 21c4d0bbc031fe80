"""Restrictions that a process sets on itself before it reads a stranger's bytes.

None needs a privilege. A process without a free file descriptor can open neither files nor sockets: that
keeps a reader from the network and the disk. Namespaces are added where the kernel allows them.
"""

import os
import resource
from contextlib import suppress

from training.reading.limits import ReadingLimits

STANDARD_DESCRIPTORS = 3
PIPE_DESCRIPTORS = 2
HIGHEST_DESCRIPTOR = 4_096  # the child is started with three, and descriptors are given from the lowest up


def bound_resources(limits: ReadingLimits) -> None:
    """Bound memory and processor time; forbid files that grow, and core dumps."""
    _set_limit(resource.RLIMIT_AS, limits.memory_bytes)
    # The soft limit is reached first and ends the process with SIGXCPU, which distinguishes it from a crash.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.document_cpu_s, limits.document_cpu_s + 1))
    _set_limit(resource.RLIMIT_FSIZE, 0)
    _set_limit(resource.RLIMIT_CORE, 0)


def leave_network() -> None:
    """Move to a network namespace with only a disabled loopback, where the kernel allows it."""
    # Containers commonly forbid it (Docker's seccomp profile): there, the limit on descriptors is enough.
    with suppress(OSError):
        os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNET)


def allow_only_pipes() -> None:
    """Let this process open one pipe at a time and nothing else. Imports must be done by now."""
    os.closerange(STANDARD_DESCRIPTORS, HIGHEST_DESCRIPTOR)
    _set_limit(resource.RLIMIT_NOFILE, STANDARD_DESCRIPTORS + PIPE_DESCRIPTORS)


def allow_nothing_new() -> None:
    """Forbid any new file, socket, pipe and process. What is open beyond the standard three is closed."""
    os.closerange(STANDARD_DESCRIPTORS, HIGHEST_DESCRIPTOR)
    _set_limit(resource.RLIMIT_NOFILE, STANDARD_DESCRIPTORS)
    _set_limit(resource.RLIMIT_NPROC, 0)  # the kernel does not apply it to root


def _set_limit(kind: int, value: int) -> None:
    """Lower a limit, the hard one as well: nothing in this process can raise it again."""
    _, hard = resource.getrlimit(kind)
    lowered = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (lowered, lowered))
