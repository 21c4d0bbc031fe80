"""vLLM's control interface: what is loaded, load, unload. Engines forget everything when they restart."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from adapters.errors import EngineRefused, EngineUnavailable
from adapters.models import Engine

ASK_S, LOAD_S = 10, 180
REASON_CHARACTERS = 300
# A bad adapter is answered with 500 too: only this text tells it from a broken engine.
BAD_ADAPTER = re.compile(r"Call to add_lora method failed: (?P<reason>.+)", re.DOTALL)
# Faults of the engine's machine, as torch (on a GPU, on a CPU), vLLM and the system's own errors word them.
PASSING = re.compile(r"out of memory|can't allocate memory|No free|CUDA error|\[Errno \d+\]", re.IGNORECASE)
OTHER_BASE = "The engine serves {served}, not {base}: correct its address or its base model."
ALREADY_LOADED = "has already been loaded"
NO_NUMBERS = "Out of range float values"  # what JSON says of NaN
TOP = 20  # the most that vLLM gives unless it is told otherwise
OWN_SALT = "polyscribe-samples"
LAST = 1000  # every tenant's prompt is read before
BEGAN = re.compile(r"^process_start_time_seconds(?:\{.*\})? (?P<s>\S+)", re.MULTILINE)
PATHS = re.compile(r"(?:[\w.-]*/)[\w./~+-]+")
NAMES = re.compile(r"'?\bv_[0-9a-f]{32}\b'?")


def check_base_model(engine: Engine) -> None:
    """Have an engine show that it can answer. Raises EngineUnavailable."""
    if engine.kind != Engine.Kind.RAY:
        _request(engine, "GET", "/health")
        return
    # A cluster's own health is its proxy's; this question goes to a replica, and costs no token.
    body = {"model": engine.base_model.name, "prompt": "?"}
    status, text = _send(engine, "POST", "/tokenize", body, timeout_s=ASK_S)
    if status not in (200, 400):  # 400: the replica says that it has no such service
        raise EngineUnavailable(_sentence(status, text))


def is_healthy(engine: Engine) -> bool:
    """Return whether an engine shows that it can answer."""
    try:
        check_base_model(engine)
    except EngineUnavailable:
        return False
    return True


def list_adapters(engine: Engine) -> dict[str, str]:
    """Return what an engine serves beside the base model: name → path. Raises EngineUnavailable."""
    check_base_model(engine)  # the list alone is also answered by an engine whose core is dead
    if engine.kind == Engine.Kind.RAY:  # it answers for all that is in the storage; our rows say what that is
        serves = engine.placements.exclude(loaded_at=None)
        return dict.fromkeys(serves.values_list("loaded_as", flat=True), "")
    models = json.loads(_request(engine, "GET", "/v1/models"))["data"]
    bases = [model["id"] for model in models if not model.get("parent")]
    if engine.base_model.name not in bases:  # it would take adapters of another base without a word
        raise EngineUnavailable(OTHER_BASE.format(served=", ".join(bases), base=engine.base_model))
    return {model["id"]: model.get("root") or "" for model in models if model.get("parent")}


def started_at(engine: Engine) -> datetime | None:
    """Return when an engine's process began, by its machine's clock, or None. Raises EngineUnavailable."""
    began = BEGAN.search(_request(engine, "GET", "/metrics"))
    return datetime.fromtimestamp(float(began["s"]), UTC) if began else None


def load_adapter(engine: Engine, name: str, path: str) -> None:
    """Make an engine serve an adapter under a name. Loading it again from the same path is no fault.

    Raises EngineUnavailable when it may work later, EngineRefused (its reason is for people) when not.
    """
    status, text = _post(engine, "/v1/load_lora_adapter", {"lora_name": name, "lora_path": path})
    if status == 200:
        return
    if status == 400 and ALREADY_LOADED in text:
        if list_adapters(engine).get(name) == path:
            return
        unload_adapter(engine, name)
        raise EngineUnavailable("The engine had another adapter under this name; it is loaded again.")
    raise _failure(status, text)


def unload_adapter(engine: Engine, name: str) -> None:
    """Make an engine forget a name; one that it does not know is no fault. Raises EngineUnavailable.

    The files must stay: requests that are still running may need them.
    """
    status, text = _post(engine, "/v1/unload_lora_adapter", {"lora_name": name})
    if status not in (200, 404):
        raise EngineUnavailable(_sentence(status, text))


def complete(engine: Engine, name: str, prompt: str, *, tokens: int) -> str:
    """Return what a model answers to a prompt, greedily, when nobody else waits. Not metered.

    Raises EngineUnavailable.
    """
    body = {
        "model": name, "messages": [{"role": "user", "content": prompt}], "max_tokens": tokens,
        "temperature": 0, "cache_salt": OWN_SALT, "priority": LAST,
    }  # fmt: skip
    status, text = _send(engine, "POST", "/v1/chat/completions", body, timeout_s=LOAD_S)
    if status != 200:
        raise EngineUnavailable(_sentence(status, _message(text)))
    return str(json.loads(text)["choices"][0]["message"]["content"] or "")


def read_logprobs(engine: Engine, name: str, prompts: Sequence[str]) -> list[dict[str, float]]:
    """Return for each prompt the 20 likeliest next tokens of a model → their log-probabilities in nats.

    Not metered. Raises EngineUnavailable, or EngineRefused where the model computes no numbers.
    """
    body = {
        "model": name, "prompt": list(prompts), "max_tokens": 1, "temperature": 0, "logprobs": TOP,
        "return_tokens_as_token_ids": True,  # else two tokens of the same text are one
        "cache_salt": OWN_SALT,
    }  # fmt: skip
    status, text = _send(engine, "POST", "/v1/completions", body, timeout_s=LOAD_S)
    if status != 200 and NO_NUMBERS in text:
        raise EngineRefused(reason="The adapter makes the model compute no numbers (NaN).")
    if status != 200:  # a cluster loads an adapter when it is asked for it
        message = _message(text)
        raise _bad_adapter(message) or EngineUnavailable(_sentence(status, message))
    choices = sorted(json.loads(text)["choices"], key=lambda choice: int(choice["index"]))
    return [choice["logprobs"]["top_logprobs"][0] for choice in choices]


def printable(text: str) -> str:
    """Return an engine's reason without paths and internal names, on one line of bounded length."""
    line = " ".join(NAMES.sub("the adapter", PATHS.sub("the file", text)).split())
    return line if len(line) <= REASON_CHARACTERS else line[: REASON_CHARACTERS - 1] + "…"


def _failure(status: int, text: str) -> EngineRefused | EngineUnavailable:
    if bad := _bad_adapter(text):
        return bad
    if status == 404:
        return EngineUnavailable("The engine can't see the files laid for it; check ENGINE_ADAPTERS_DIR.")
    return EngineUnavailable(_sentence(status, text))


def _bad_adapter(text: str) -> EngineRefused | None:
    bad = BAD_ADAPTER.search(text)
    return EngineRefused(reason=printable(bad["reason"])) if bad and not PASSING.search(text) else None


def _sentence(status: int, text: str) -> str:
    if status == 401:
        return "The engine does not take our key; check ENGINE_API_KEY."
    return f"The engine answers with error {status}. {printable(text)}".strip()


def _request(engine: Engine, method: str, path: str) -> str:
    status, text = _send(engine, method, path, timeout_s=ASK_S)
    if status != 200:
        raise EngineUnavailable(_sentence(status, text))
    return text


def _post(engine: Engine, path: str, body: Mapping[str, str]) -> tuple[int, str]:
    status, text = _send(engine, "POST", path, body, timeout_s=LOAD_S)
    return status, text if status == 200 else _message(text)


def _send(
    engine: Engine, method: str, path: str, body: Mapping[str, object] | None = None, *, timeout_s: float
) -> tuple[int, str]:
    url = urlsplit(engine.url)
    kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {settings.ENGINE_API_KEY}"}
    connection = kind(url.hostname or "", url.port, timeout=timeout_s)
    try:
        connection.request(method, url.path.rstrip("/") + path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    except (OSError, HTTPException) as error:
        raise EngineUnavailable from error
    finally:
        connection.close()


def _message(text: str) -> str:
    """Return the message in an error body of vLLM, or the text itself."""
    try:
        body: Any = json.loads(text)
        return str(body["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text
