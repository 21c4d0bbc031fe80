#!/usr/bin/env python
import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    # `platform/` is a source root like src/: see docs/decisions/0001-platform-is-a-source-root.md
    sys.path.insert(1, str(Path(__file__).resolve().parent / "platform"))
    import_module("config.command_line").main()
