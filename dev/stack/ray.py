"""A Ray cluster of this machine in the place of vLLM: ENGINE_KIND=ray, ENGINE_REPLICAS=2."""

import http.client
import json
import signal
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from stack.engine import LAYER, PYTHON, for_engine
from stack.errors import MissingPrerequisite
from stack.folders import ROOT, Folders
from stack.processes import Program

KIND = "ray"
LONGEST_FOLDER = 44  # below it Ray names sockets with 63 bytes, and sockaddr_un holds 107


def is_desired(variables: Mapping[str, str]) -> bool:
    """Return True when the engine of this stack is to be a Ray cluster."""
    return variables["ENGINE_KIND"] == KIND


def program(variables: Mapping[str, str], folders: Folders) -> Program:
    """Return the cluster as a program. Raises MissingPrerequisite where Ray is not installed."""
    if not list(PYTHON.parent.glob("../lib/python*/site-packages/ray")):
        raise MissingPrerequisite("Ray is not installed in the engine environment. Start with make demo-ray.")
    # Replicas fetch their adapters themselves.
    storage = {name: value for name, value in variables.items() if name.startswith(("S3_", "AWS_"))}
    return Program(
        name="engine",
        title="Ray cluster",
        argv=[str(PYTHON), str(ROOT / "engine" / "serve_ray.py")],
        # A Ray cluster can't say that it marks, and refuses a key.
        env={**for_engine(variables), **storage, "RAY_DIR": str(_folder(folders)), "WATERMARK_KEYS": ""},
        stop_signal=signal.SIGTERM,
        stop_within_s=20,  # it ends its processes one after the other
        layer=LAYER,
        is_optional=True,
    )


def ready(url: str, base_model: str) -> bool:
    """Return True once a replica answers, be it that it has no such service; the port answers long before."""
    body = json.dumps({"model": base_model, "prompt": "?"}).encode()
    request = urllib.request.Request(f"{url}/tokenize", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code == 400
    except (OSError, http.client.HTTPException):
        return False


def _folder(folders: Folders) -> Path:
    """Return where the cluster keeps logs, sockets and adapters, its path short enough for the sockets."""
    folder = folders.var / "ray"
    return folder if len(str(folder)) <= LONGEST_FOLDER else Path(tempfile.mkdtemp(prefix="polyscribe-ray-"))
