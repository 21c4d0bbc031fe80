"""A file's bytes → its text. A stranger's file is read in a child process that can't do anything else.

The child (`child.py`) imports this package, too: nothing here may import Django.
"""

import json

from training.reading.documents import ReadDocument, Refused, parse_document, refuse_document
from training.reading.limits import LIMITS, MIB, ReadingLimits
from training.reading.readers import ENDINGS, ending_of
from training.reading.sandbox import run_child

STARTING_S = 1  # beyond what the child itself allows a file


def read_document(name: str, content: bytes, limits: ReadingLimits = LIMITS) -> list[ReadDocument]:
    """Return the documents of a file: several for an archive, otherwise one. Raises nothing.

    A pasted text is a file without a name. A document that can't be read has a refusal. A fault in a member
    of an archive refuses that member; a fault in the archive itself refuses all of it.
    """
    if len(content) > limits.file_bytes:
        return [refuse_document(name, Refused("too_large", limit_mb=limits.file_bytes // MIB))]
    request = json.dumps({"name": name, "limits": vars(limits)}).encode() + b"\n"
    wall_s = limits.file_wall_s + STARTING_S
    answer = run_child(request, content, wall_s=wall_s, answer_bytes=limits.answer_bytes)
    try:
        return _parse_answer(answer.content)
    except (ValueError, TypeError, KeyError, RecursionError):
        # Cut off or empty: the child was killed, or it couldn't start.
        failure = (
            Refused("too_slow", limit_s=limits.document_cpu_s) if answer.is_late else Refused("reader_failed")
        )
        return [refuse_document(name, failure)]


def _parse_answer(content: bytes) -> list[ReadDocument]:
    """Return the documents of an answer. Raises ValueError, TypeError or KeyError where it is none."""
    documents = [parse_document(fields) for fields in json.loads(content)]
    if not documents:
        raise ValueError("no document")
    return documents
