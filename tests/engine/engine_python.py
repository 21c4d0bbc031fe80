"""What runs in the engine's own environment, where that is installed."""

import os
import subprocess
from pathlib import Path

import pytest

from engine import serve

CPU = {"ENGINE_DEVICE": "cpu"}
ENGINE_PYTHON = serve.ROOT / ".venv-engine" / "bin" / "python"
needs_vllm = pytest.mark.skipif(not ENGINE_PYTHON.exists(), reason="vLLM is not installed here")


def run_as_vllm(code: str, *arguments: str, home: Path, **variables: str) -> str:
    """Return what a program prints that has vLLM's variables, and more."""
    environment = {"PATH": os.environ["PATH"], **serve.engine_environment(serve.read_settings(CPU))}
    done = subprocess.run(
        [str(ENGINE_PYTHON), "-c", code, *arguments],
        env={**environment, "HOME": str(home), **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def option(arguments: list[str], name: str) -> str:
    """Return the value of an option of a command line."""
    return arguments[arguments.index(name) + 1]
