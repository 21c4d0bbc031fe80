"""`bench.call_counts:application`: the gateway, whose Python calls between two signals are counted.

SIGUSR1 begins. SIGUSR2 ends, and writes how often each function was begun or resumed into the file that
CALL_COUNTS names.
"""

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import CodeType

from config.gateway import application

__all__ = ["application"]

TOOL = sys.monitoring.PROFILER_ID
CALLS = sys.monitoring.events.PY_START | sys.monitoring.events.PY_RESUME
_counts: Counter[CodeType] = Counter()


def _count(code: CodeType, _offset: int) -> None:
    _counts[code] += 1


def _begin(_number: int, _frame: object) -> None:
    _counts.clear()
    sys.monitoring.set_events(TOOL, CALLS)


def _end(_number: int, _frame: object) -> None:
    sys.monitoring.set_events(TOOL, 0)
    named: Counter[str] = Counter()
    for code, count in _counts.items():
        named[f"{code.co_filename}:{code.co_qualname}"] += count
    path = Path(os.environ["CALL_COUNTS"])
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(named.most_common()))
    unfinished.rename(path)


sys.monitoring.use_tool_id(TOOL, "calls")
sys.monitoring.register_callback(TOOL, sys.monitoring.events.PY_START, _count)
sys.monitoring.register_callback(TOOL, sys.monitoring.events.PY_RESUME, _count)
signal.signal(signal.SIGUSR1, _begin)
signal.signal(signal.SIGUSR2, _end)
