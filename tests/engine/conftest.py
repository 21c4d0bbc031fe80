"""Scripts of engine/ find their neighbours, and vLLM's processes our extensions, by these folders."""

import sys
from pathlib import Path

ENGINE = Path(__file__).resolve().parents[2] / "engine"
sys.path += [str(ENGINE), str(ENGINE / "extensions")]
