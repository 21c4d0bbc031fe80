"""The engine of this machine: its base model and vLLM, in an environment of their own."""

import os
import shlex
import signal
import socket
from collections.abc import Mapping
from typing import Any

import httpx2

from stack import environment
from stack.environment import base_model, base_model_folder
from stack.errors import MissingPrerequisite, ServiceFailed
from stack.folders import ROOT
from stack.processes import Program

PYTHON = ROOT / ".venv-engine" / "bin" / "python"
READY_WITHIN_S = 600.0  # a large model on a slow disk takes minutes
LAYER = 1
# What vLLM, PyTorch and our launcher read. The site's own variables have the passwords of everything else.
PASSED_ON = frozenset(
    (
        *(
            "PATH",
            "HOME",
            "USER",
            "LOGNAME",
            "LANG",
            "TZ",
            "TMPDIR",
            "CC",
            "CXX",
            "BASE_MODEL",
            "BASE_MODEL_DIR",
        ),
        *(
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "NO_PROXY",
            "http_proxy",
            "https_proxy",
            "no_proxy",
            "REQUESTS_CA_BUNDLE",
        ),
    )
)
PASSED_PREFIXES = (
    *("ENGINE_", "WATERMARK_KEY", "VLLM_", "RAY_", "LC_", "LD_", "PYTHON", "XDG_"),
    *("CUDA", "NVIDIA_", "NCCL_", "TORCH", "PYTORCH_", "TRITON_", "HF_", "TOKENIZERS_", "FLASHINFER_"),
    *("OMP_", "MKL_", "KMP_", "OPENBLAS_", "MALLOC_", "SSL_CERT_"),
)


def for_engine(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that an engine needs of those of the whole stack."""
    return {
        name: value
        for name, value in variables.items()
        if name in PASSED_ON or name.startswith(PASSED_PREFIXES)
    }


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
            raise MissingPrerequisite(
                f"BASE_MODEL_DIR={base} has no config.json. Set it to a model's folder."
            )
        return []
    if not PYTHON.exists():
        raise MissingPrerequisite("The engine environment is missing. Start with make, which creates it.")
    script = str(ROOT / "engine" / "prepare.py")
    return [
        Program(
            name="base-model",
            title="base model",
            argv=[str(PYTHON), script, "--model", base_model()[0], "--out", str(base)],
            env=for_engine(variables),
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
        env=for_engine(variables),
        stop_signal=signal.SIGTERM,
        stop_within_s=6,  # nothing is lost: the engine has no state
        layer=LAYER,
        is_optional=True,
    )


def numbered(name: str, number: int) -> str:
    """Return the name of what belongs to one of several engines."""
    return name if number == 1 else f"{name}-{number}"


def open_client(url: str, api_key: str = "", *, timeout_s: float = 5) -> httpx2.Client:
    """Return a client for an engine at a port or a socket. Its paths begin with a slash."""
    base_url, socket_path = environment.split_address(url)
    transport = httpx2.HTTPTransport(uds=socket_path) if socket_path else None
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return httpx2.Client(base_url=base_url, headers=headers, timeout=timeout_s, transport=transport)


def ready(url: str, api_key: str) -> bool:
    """Return True once vLLM is healthy and lists its models. Raises ServiceFailed if it rejects our key."""
    if not _listens(url):
        return False
    try:
        with open_client(url, api_key) as client:
            if client.get("/health").status_code != 200:
                return False
            answer = client.get("/v1/models")
    except httpx2.HTTPError:
        return False
    if answer.status_code == 401:
        raise ServiceFailed(f"The engine at {url} rejected the key. Set ENGINE_API_KEY to the engine's key.")
    return bool(_models_in(answer))


def adapters(url: str, api_key: str) -> set[str]:
    """Return the names that vLLM serves beside its base model; none while it does not answer."""
    if not _listens(url):
        return set()
    try:
        with open_client(url, api_key) as client:
            models = _models_in(client.get("/v1/models"))
    except httpx2.HTTPError:
        return set()
    return {model["id"] for model in models if model.get("parent")}


def _listens(url: str) -> bool:
    """Return whether anybody listens at an engine's socket; at a port only asking tells.

    httpx2 2.16 does not close a socket whose path it can't connect to.
    """
    _, path = environment.split_address(url)
    if not path:
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


def _models_in(answer: httpx2.Response) -> list[dict[str, Any]]:
    """Return the models of an answer, none where it lists none."""
    try:
        models: list[dict[str, Any]] = answer.json()["data"]
    except (ValueError, KeyError, TypeError):
        return []
    return models
