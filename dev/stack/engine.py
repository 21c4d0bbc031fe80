"""The engine of this machine: its base model, and vLLM or a Ray cluster, in an environment of their own."""

import os
import shlex
import socket
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

from stack import environment
from stack.environment import base_model, base_model_folder
from stack.errors import MissingPrerequisite, ServiceFailed
from stack.folders import ROOT, Folders
from stack.processes import Program

PYTHON = ROOT / ".venv-engine" / "bin" / "python"
READY_WITHIN_S = 600.0  # a large model on a slow disk takes minutes
LAYER = 1
RAY = "ray"  # the value of $ENGINE_KIND
LONGEST_RAY_FOLDER = 44  # below it Ray names sockets with 63 bytes, and sockaddr_un holds 107
# What vLLM, PyTorch and our launcher read. The site's own variables have the passwords of everything else.
PASSED_ON = {
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "CC", "CXX", "BASE_MODEL", "BASE_MODEL_DIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "REQUESTS_CA_BUNDLE"),
}
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
        stop_within_s=6,  # nothing is lost: the engine has no state
        layer=LAYER,
        ready=partial(is_ready, variables),
        ready_within_s=READY_WITHIN_S,
        is_optional=True,
    )


def ray_program(variables: Mapping[str, str], folders: Folders) -> Program:
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
        env={
            **for_engine(variables),
            **storage,
            "RAY_DIR": str(_ray_folder(folders)),
            "WATERMARK_KEYS": "",
        },
        stop_within_s=20,  # it ends its processes one after the other
        layer=LAYER,
        ready=partial(is_ready, variables),
        ready_within_s=READY_WITHIN_S,
        is_optional=True,
    )


def _ray_folder(folders: Folders) -> Path:
    """Return where the cluster keeps logs, sockets and adapters, its path short enough for the sockets."""
    folder = folders.var / "ray"
    if len(str(folder)) <= LONGEST_RAY_FOLDER:
        return folder
    return Path(tempfile.mkdtemp(prefix="polyscribe-ray-"))


def numbered(name: str, number: int) -> str:
    """Return the name of what belongs to one of several engines."""
    return name if number == 1 else f"{name}-{number}"


def open_client(url: str, api_key: str = "", *, timeout_s: float = 5) -> httpx2.Client:
    """Return a client for an engine at a port or a socket. Its paths begin with a slash."""
    base_url, socket_path = environment.split_address(url)
    transport = httpx2.HTTPTransport(uds=socket_path) if socket_path else None
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return httpx2.Client(base_url=base_url, headers=headers, timeout=timeout_s, transport=transport)


def is_ray(variables: Mapping[str, str]) -> bool:
    """Return True when the engine of this stack is to be a Ray cluster."""
    return variables["ENGINE_KIND"] == RAY


def is_ready(variables: Mapping[str, str]) -> bool:
    """Return True once the engine of these variables answers. Raises ServiceFailed if it rejects our key."""
    if is_ray(variables):
        return _ray_answers(variables["ENGINE_URL"], variables["BASE_MODEL"])
    return ready(variables["ENGINE_URL"], variables["ENGINE_API_KEY"])


def _ray_answers(url: str, base_model: str) -> bool:
    """Return True once a replica answers, be it that it has no such service; the port answers long before."""
    try:
        with open_client(url) as client:
            answer = client.post("/tokenize", json={"model": base_model, "prompt": "?"})
    except httpx2.HTTPError:
        return False
    return answer.status_code in (200, 400)


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
