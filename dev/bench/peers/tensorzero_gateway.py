"""TensorZero's gateway as its Python package starts it: `python tensorzero_gateway.py CONFIG ADDRESS_FILE`.

PyPI has no program of it, but the package carries the whole gateway and serves it at a port of its own choice
(`patch_openai_client` does nothing else). It writes that address to a file and runs until it is stopped.
"""

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import tensorzero  # type: ignore[import-not-found]

config, address = sys.argv[1:]
client: Any = tensorzero.patch_openai_client(
    SimpleNamespace(base_url=""), config_file=config, async_setup=False
)
part = Path(f"{address}.part")
part.write_text(str(client.base_url))
os.rename(part, address)
signal.pause()
