"""What runs in the engine's own environment, where that is installed."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine import serve

CPU = {"ENGINE_DEVICE": "cpu"}
ENGINE_PYTHON = serve.ROOT / ".venv-engine" / "bin" / "python"
needs_vllm = pytest.mark.skipif(not ENGINE_PYTHON.exists(), reason="vLLM is not installed here")


def vllm_environment(**variables: str) -> dict[str, str]:
    """Return vLLM's variables on a CPU, and more."""
    return {"PATH": os.environ["PATH"], **serve.engine_environment(serve.read_settings(CPU)), **variables}


@dataclass(frozen=True)
class Vllm:
    """A process that has imported vLLM (vllm_forks.py)."""

    process: subprocess.Popen[str]
    folder: Path

    def ask(self, code: str, *arguments: str, **variables: str) -> str:
        """Return what a program prints."""
        output, errors = self.folder / "output", self.folder / "errors"
        question = {"code": code, "arguments": arguments, "variables": variables}
        question |= {"output": str(output), "errors": str(errors)}
        print(json.dumps(question), file=self.process.stdin, flush=True)
        status = self.process.stdout.readline()
        assert status == "0\n", errors.read_text()[-2000:]
        return output.read_text()


def option(arguments: list[str], name: str) -> str:
    """Return the value of an option of a command line."""
    return arguments[arguments.index(name) + 1]
