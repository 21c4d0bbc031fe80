"""The data plane's Lua scripts."""

from pathlib import Path


def _read(name: str) -> str:
    return (Path(__file__).parent / "lua" / f"{name}.lua").read_text()


ADMISSION = _read("admission")
SETTLEMENT = _read("settlement")
EXTENSION = _read("extension")
RESTORING = _read("restoring")
FORGETTING = _read("forgetting")
THAWING = _read("thawing")
REBUILDING = _read("rebuilding")
CLAIM = _read("claim")
UNCLAIMING = _read("unclaiming")
REFUSALS = _read("refusals")
