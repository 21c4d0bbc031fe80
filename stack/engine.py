"""The engine of this machine: its base model and vLLM, in an environment of their own."""

import http.client
import json
import os
import shlex
import signal
import urllib.error
import urllib.request
from collections.abc import Mapping

from stack.environment import base_model, base_model_folder
from stack.errors import MissingPrerequisite, ServiceFailed
from stack.folders import ROOT
from stack.processes import Program

PYTHON = ROOT / ".venv-engine" / "bin" / "python"
READY_WITHIN_S = 600.0  # a large model on a slow disk takes minutes
LAYER = 1


def is_elsewhere() -> bool:
    """Return True when ENGINE_URL names a vLLM that already runs."""
    return bool(os.environ.get("ENGINE_URL"))


def preparations(variables: Mapping[str, str]) -> list[Program]:
    """Return what is still to be made before vLLM can start: the base model, if nobody brought one.

    Raises MissingPrerequisite when $BASE_MODEL_DIR holds no model, or the environment is missing.
    """
    base = base_model_folder()
    if os.environ.get("BASE_MODEL_DIR"):
        if not (base / "config.json").exists():
            raise MissingPrerequisite(f"BASE_MODEL_DIR={base} has no config.json: name a model's folder.")
        return []
    if not PYTHON.exists():
        raise MissingPrerequisite("The engine's environment is missing: start through make, which makes it.")
    script = str(ROOT / "engine" / "prepare.py")
    return [
        Program(
            name="base-model",
            title="base model",
            argv=[str(PYTHON), script, "--model", base_model()[0], "--out", str(base)],
            env=variables,
            layer=LAYER,
        )
    ]


def program(variables: Mapping[str, str], *, number: int = 1) -> Program:
    """Return vLLM as a program; $ENGINE_OPTIONS adds options of its own, `--lora-modules` for instance.

    `number` tells several on one machine apart: they are `engine`, `engine-2`, ….
    """
    return Program(
        name=numbered("engine", number),
        title=numbered("vLLM", number),
        argv=[
            str(PYTHON),
            str(ROOT / "engine" / "serve.py"),
            *shlex.split(os.environ.get("ENGINE_OPTIONS", "")),
        ],
        env=variables,
        stop_signal=signal.SIGTERM,
        stop_within_s=6,  # nothing is lost: the engine has no state
        layer=LAYER,
        is_optional=True,
    )


def numbered(name: str, number: int) -> str:
    """Return the name of what belongs to one of several engines."""
    return name if number == 1 else f"{name}-{number}"


def ready(url: str, api_key: str) -> bool:
    """Return True once vLLM is healthy and lists its models to our key."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
            if answer.status != 200:
                return False
        request = urllib.request.Request(f"{url}/v1/models", headers={"Authorization": f"Bearer {api_key}"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return bool(json.load(answer)["data"])
    except urllib.error.HTTPError as error:
        if error.code == 401:
            raise ServiceFailed(
                f"The engine at {url} refuses the key: set ENGINE_API_KEY to its own."
            ) from None
        return False
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return False


def adapters(url: str, api_key: str) -> set[str]:
    """Return the names that vLLM serves beside its base model; none while it does not answer."""
    request = urllib.request.Request(f"{url}/v1/models", headers={"Authorization": f"Bearer {api_key}"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return {model["id"] for model in json.load(answer)["data"] if model.get("parent")}
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return set()
