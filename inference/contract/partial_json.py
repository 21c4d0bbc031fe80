"""What is complete of a JSON text that breaks off."""

import re
from collections import deque
from typing import Any

import orjson

CLOSERS = {"{": "}", "[": "]"}
# A whole string, the beginning of one that breaks off, or a sign of structure.
SIGN = re.compile(r'"(?:[^"\\]|\\.)*"|["{}\[\],]', re.DOTALL)
# The last end may be that of a key. Before it is a comma, or a bracket that opens.
ENDS_TRIED = 3


def parse_begun(text: str) -> Any:
    """Return the value of a JSON text without the member or item that is not complete; None where none is.

    >>> parse_begun('{"city": "Oslo", "days": [1, 2')
    {'city': 'Oslo', 'days': [1]}
    """
    closers: list[str] = []
    ends: deque[tuple[int, str]] = deque(maxlen=ENDS_TRIED)
    for sign in SIGN.finditer(text):
        end = sign.end()
        if sign[0] in CLOSERS:
            closers.append(CLOSERS[sign[0]])
        elif sign[0] in CLOSERS.values():
            if not closers or closers.pop() != sign[0]:
                return None
        elif sign[0] == ",":
            end -= 1
        elif sign[0] == '"':
            break
        ends.append((end, "".join(reversed(closers))))
    for end, closing in reversed(ends):
        try:
            return orjson.loads(text[:end] + closing)
        except orjson.JSONDecodeError:
            continue
    return None
