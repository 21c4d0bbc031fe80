"""vLLM's control API: list, load and unload adapters, and complete prompts of our own.

An engine forgets every adapter when it restarts.
"""

import json
import re
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import urllib3
from django.conf import settings
from django.utils.translation import gettext_noop as _
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import NewConnectionError

from adapters.engines.capacity import Layers
from adapters.errors import EngineRefused, EngineUnavailable
from adapters.models import BaseModel, Engine
from adapters.validation import BaseShape
from core.messages import Message, MessageCode

UNIX = "unix"


def open_pool(url: str, *, timeout_s: float) -> HTTPConnectionPool:
    """Return a pool for `http://host:port`, `https://…` or `unix:///run/engine.sock`. It never retries."""
    parts = urlsplit(url)
    if parts.scheme == UNIX:
        return _SocketPool("localhost", retries=False, timeout=timeout_s, socket_path=parts.path)
    return urllib3.connection_from_url(url, retries=False, timeout=timeout_s)


class _SocketConnection(HTTPConnection):
    """A connection to a path; the host is only what the `host` header says."""

    def __init__(self, host: str, *, socket_path: str, **options: Any) -> None:
        super().__init__(host, **options)
        self._socket_path = socket_path

    def _new_conn(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(float(self.timeout) if self.timeout else None)
            connection.connect(self._socket_path)
        except OSError as error:
            connection.close()
            raise NewConnectionError(self, f"{self._socket_path}: {error}") from error
        return connection


class _SocketPool(HTTPConnectionPool):
    ConnectionCls = _SocketConnection


QUERY_TIMEOUT_S = 10
LOAD_TIMEOUT_S = 180  # also of completions: a cluster loads an adapter for the first one
REASON_CHARACTERS = 300
# vLLM answers 500 for a bad adapter, too: only this text tells it from a broken engine.
BAD_ADAPTER = re.compile(r"Call to add_lora method failed: (?P<reason>.+)", re.DOTALL)
# Faults of the engine's machine, as torch (on a GPU, on a CPU), vLLM and the system's own errors word them.
MACHINE_FAULT = re.compile(
    r"out of memory|can't allocate memory|No free|CUDA error|\[Errno \d+\]", re.IGNORECASE
)
ALREADY_LOADED = "has already been loaded"
NOT_A_NUMBER = "Out of range float values"  # what JSON's writer says of NaN
TOP_LOGPROBS = 20  # the most that vLLM returns by default
NO_SAMPLING: Mapping[str, float] = MappingProxyType({})
# What says the same again may use the prompt's words, whatever penalty on repetitions the base comes with.
KEEPS_WORDS: Mapping[str, float] = MappingProxyType({"repetition_penalty": 1.0})
CACHE_SALT = "polyscribe-samples"  # so that no tenant's prompt is answered from what these have cached
# Behind every tenant's request: for vLLM's own scheduler, and for ours (engine/extensions).
LOWEST_PRIORITY = 1000
LOWEST_WEIGHT = 0.001
PROCESS_START = re.compile(r"^process_start_time_seconds(?:\{.*\})? (?P<seconds>\S+)", re.MULTILINE)
FILE_PATH = re.compile(r"(?:[\w.-]*/)[\w./~+-]+")
ENGINE_NAME = re.compile(r"'?\bv_[0-9a-f]{32}\b'?")


class EngineFault(MessageCode):
    """Why an engine does not do what it was asked for."""

    WRONG_BASE_MODEL = _("The engine serves {served}, not {base}. Correct its address or its base model.")
    OTHER_ADAPTER = _("The engine had another adapter under this name. We're reloading it.")
    NOT_A_NUMBER = _("The adapter makes the model return NaN.")
    FILES_UNSEEN = _("The engine can't read the adapter files. Check ENGINE_ADAPTERS_DIR.")
    KEY_REFUSED = _("The engine rejected our API key. Check ENGINE_API_KEY.")
    ANSWERS_ERROR = _("The engine answers with error {status}. {text}")


@dataclass(frozen=True)
class Completion:
    """A model, by its name on the engine, and a prompt.

    It answers greedily, or with a seed drawn at temperature 1, unless `sampling` says otherwise.
    """

    name: str
    prompt: str
    max_tokens: int
    seed: int | None = None
    sampling: Mapping[str, float] = NO_SAMPLING


def check_health(engine: Engine) -> None:
    """Have an engine show that it can answer. Raises EngineUnavailable."""
    if engine.kind != Engine.Kind.RAY:
        read_page(engine, "/health")
        return
    # A cluster's /health is answered by its proxy; this request reaches a replica, and costs no token.
    body = {"model": engine.base_model.name, "prompt": "?"}
    status, text = _send(engine, "POST", "/tokenize", body, timeout_s=QUERY_TIMEOUT_S)
    if status not in (200, 400):  # 400: the replica says that it has no such service
        raise EngineUnavailable(_describe_error(status, text))


def is_healthy(engine: Engine) -> bool:
    """Return whether an engine shows that it can answer."""
    try:
        check_health(engine)
    except EngineUnavailable:
        return False
    return True


def list_adapters(engine: Engine) -> dict[str, str]:
    """Return what an engine serves beside the base model: name → path. Raises EngineUnavailable."""
    check_health(engine)  # an engine whose core is dead still answers the list
    if engine.kind == Engine.Kind.RAY:
        # A cluster serves all that is in the storage; our rows say what that is.
        loaded = engine.placements.exclude(loaded_at=None)
        return dict.fromkeys(loaded.values_list("loaded_as", flat=True), "")
    bases, adapters = read_models(engine)
    # An engine with another base model would load our adapters without complaint.
    if engine.base_model.name not in bases:
        raise EngineUnavailable(EngineFault.WRONG_BASE_MODEL(served=", ".join(bases), base=engine.base_model))
    return {name: adapter.get("root") or "" for name, adapter in adapters.items()}


def read_models(engine: Engine) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return what a vLLM server says of its base models and of its adapters, by name.

    Raises EngineUnavailable.
    """
    bases: dict[str, dict[str, Any]] = {}
    adapters: dict[str, dict[str, Any]] = {}
    for model in json.loads(read_page(engine, "/v1/models"))["data"]:
        (adapters if model.get("parent") else bases)[str(model["id"])] = model
    return bases, adapters


def started_at(engine: Engine) -> datetime | None:
    """Return when an engine's process began, by its machine's clock, or None. Raises EngineUnavailable."""
    if engine.kind == Engine.Kind.RAY:  # many processes, of which none tells
        return None
    found = PROCESS_START.search(read_page(engine, "/metrics"))
    return datetime.fromtimestamp(float(found["seconds"]), UTC) if found else None


def load_adapter(engine: Engine, name: str, path: str) -> None:
    """Make an engine serve an adapter under a name. To load it again from the same path is no fault.

    Raises EngineUnavailable when it may work later, EngineRefused (its reason is for people) when not.
    """
    status, text = _post(engine, "/v1/load_lora_adapter", {"lora_name": name, "lora_path": path})
    if status == 200:
        return
    if status == 400 and ALREADY_LOADED in text:
        # A load whose answer was lost is repeated: the same path is what was wanted.
        if list_adapters(engine).get(name) == path:
            return
        # vLLM has no way to replace one. The next pass loads ours.
        unload_adapter(engine, name)
        raise EngineUnavailable(EngineFault.OTHER_ADAPTER())
    raise _load_error(status, text)


def unload_adapter(engine: Engine, name: str) -> None:
    """Make an engine forget a name; one that it does not know is no fault. Raises EngineUnavailable.

    The files must stay: requests that are still running may need them.
    """
    if engine.kind == Engine.Kind.RAY:  # it drops by itself what no request names
        return
    status, text = _post(engine, "/v1/unload_lora_adapter", {"lora_name": name})
    if status not in (200, 404):
        raise EngineUnavailable(_describe_error(status, text))


def complete(engine: Engine, one: Completion) -> str:
    """Return what a model answers to a prompt, after all tenants' requests. Not metered.

    Raises EngineUnavailable.
    """
    drawn = {"temperature": 0.0} if one.seed is None else {"temperature": 1.0, "seed": one.seed}
    body = {
        "model": one.name,
        "messages": [{"role": "user", "content": one.prompt}],
        "max_tokens": one.max_tokens,
        **drawn,
        **one.sampling,
        "cache_salt": CACHE_SALT,
        "priority": LOWEST_PRIORITY,
        # Measured, or learned from: neither should have a mark. Our worker on a CPU reads the argument alone.
        "watermarking": False,
        "vllm_xargs": {"pool": CACHE_SALT, "weight": LOWEST_WEIGHT, "watermarking": 0},
    }
    status, text = _post(engine, "/v1/chat/completions", body)
    if status != 200:
        raise EngineUnavailable(_describe_error(status, text))
    return str(json.loads(text)["choices"][0]["message"]["content"] or "")


def read_logprobs(engine: Engine, name: str, prompts: Sequence[str]) -> list[dict[str, float]]:
    """Return for each prompt the 20 likeliest next tokens of a model → their log-probabilities in nats.

    Not metered. Raises EngineUnavailable, or EngineRefused where the model computes no numbers.
    """
    body = {
        "model": name,
        "prompt": list(prompts),
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": TOP_LOGPROBS,
        "return_tokens_as_token_ids": True,  # else two tokens of the same text are one
        "cache_salt": CACHE_SALT,
    }
    status, text = _post(engine, "/v1/completions", body)
    if status != 200 and NOT_A_NUMBER in text:
        raise EngineRefused(reason=EngineFault.NOT_A_NUMBER())
    if status != 200:  # a cluster loads an adapter with its first request, and may refuse it then
        raise _refusal_in(text) or EngineUnavailable(_describe_error(status, text))
    # vLLM names the prompt of a choice by its index alone; their order is not promised.
    choices = sorted(json.loads(text)["choices"], key=lambda choice: int(choice["index"]))
    return [choice["logprobs"]["top_logprobs"][0] for choice in choices]


def printable(text: str) -> str:
    """Return an engine's reason without paths and internal names, on one line of bounded length."""
    text = FILE_PATH.sub("the file", text)
    text = ENGINE_NAME.sub("the adapter", text)
    line = " ".join(text.split())
    return line if len(line) <= REASON_CHARACTERS else line[: REASON_CHARACTERS - 1] + "…"


def _load_error(status: int, text: str) -> EngineRefused | EngineUnavailable:
    refusal = _refusal_in(text)
    if refusal:
        return refusal
    if status == 404:
        return EngineUnavailable(EngineFault.FILES_UNSEEN())
    return EngineUnavailable(_describe_error(status, text))


def _refusal_in(text: str) -> EngineRefused | None:
    """Return the error for an adapter that vLLM refuses; None where the fault is the machine's or unknown."""
    found = BAD_ADAPTER.search(text)
    if found is None or MACHINE_FAULT.search(text):
        return None
    return EngineRefused(reason=printable(found["reason"]))


def _describe_error(status: int, text: str) -> Message:
    if status == 401:
        return EngineFault.KEY_REFUSED()
    return EngineFault.ANSWERS_ERROR(status=status, text=printable(text))


def read_page(engine: Engine, path: str) -> str:
    """Return what an engine answers at a path. Raises EngineUnavailable."""
    status, text = _send(engine, "GET", path, timeout_s=QUERY_TIMEOUT_S)
    if status != 200:
        raise EngineUnavailable(_describe_error(status, text))
    return text


def _post(engine: Engine, path: str, body: Mapping[str, object]) -> tuple[int, str]:
    """Return the status and the body, of an error only vLLM's message. Raises EngineUnavailable."""
    status, text = _send(engine, "POST", path, body, timeout_s=LOAD_TIMEOUT_S)
    return status, text if status == 200 else _error_message(text)


def _send(
    engine: Engine, method: str, path: str, body: Mapping[str, object] | None = None, *, timeout_s: float
) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {settings.ENGINE_API_KEY}"}
    try:
        # A pool for each request: no connection outlives an engine's restart, or this process's fork.
        with open_pool(engine.url, timeout_s=timeout_s) as pool:
            response = pool.request(method, _target(engine.url) + path, json=body, headers=headers)
            return response.status, response.data.decode(errors="replace")
    except urllib3.exceptions.HTTPError as error:
        raise EngineUnavailable from error


def _target(url: str) -> str:
    """Return what of an engine's address comes before each path: nothing, or a proxy's prefix."""
    parts = urlsplit(url)
    return "" if parts.scheme == UNIX else parts.path.rstrip("/")


def _error_message(text: str) -> str:
    """Return the message in an error body of vLLM, or the text itself."""
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text


# Many completions from one engine, for the product itself. They give way to tenants' requests.

CONCURRENT_REQUESTS = 8


def complete_all(
    engine: Engine, completions: Sequence[Completion], *, is_refusal_empty: bool = False
) -> list[str]:
    """Return the answers, in order. `is_refusal_empty`: "" for a prompt that a healthy engine refuses.

    The engine must be loaded with its base model: a row that a thread loads keeps a connection. Raises
    EngineUnavailable.
    """

    def answer(one: Completion) -> str:
        try:
            return complete(engine, one)
        except EngineUnavailable:
            if is_refusal_empty and is_healthy(engine):
                return ""
            raise

    with ThreadPoolExecutor(CONCURRENT_REQUESTS) as pool:
        return list(pool.map(answer, completions))


def count_base_parameters() -> int:
    """Return how many parameters the site's base model has; 0 while none is registered."""
    base = BaseModel.objects.filter(name=settings.BASE_MODEL).first()
    return Layers.of(BaseShape.of(base.name, base.config, base.modules)).parameters if base else 0


def write_with_base(prompts: Sequence[str], *, max_tokens: int, keeps_words: bool = False) -> list[str]:
    """Return the base model's answer to each prompt, "" where the engine is well and refuses the prompt.

    For the product itself, such as a training's briefs: at the lowest rank, and not metered (decision 60 says
    why this doesn't go through the gateway). `keeps_words`: no prompt's words are penalised in its answer.
    Raises EngineUnavailable.
    """
    engines = Engine.objects.filter(base_model__name=settings.BASE_MODEL, is_healthy=True, is_draining=False)
    engine = engines.filter(is_gone=False).select_related("base_model").first()
    if engine is None:
        raise EngineUnavailable
    name = engine.base_model.name
    sampling = KEEPS_WORDS if keeps_words else NO_SAMPLING
    completions = [Completion(name, prompt, max_tokens, sampling=sampling) for prompt in prompts]
    return complete_all(engine, completions, is_refusal_empty=True)
