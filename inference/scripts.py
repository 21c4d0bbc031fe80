"""The data plane's Lua scripts."""

from pathlib import Path

ADMISSION, SETTLEMENT, EXTENSION, RESTORING, THAWING, REBUILDING = (
    (Path(__file__).parent / f"{name}.lua").read_text()
    for name in ("admission", "settlement", "extension", "restoring", "thawing", "rebuilding")
)
