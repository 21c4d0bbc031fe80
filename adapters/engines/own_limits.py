"""What an engine says of its own limits, and whether its row says the same."""

import json
import re

from adapters.engines.client import check_health, read_page
from adapters.errors import EngineUnavailable
from adapters.models import Engine

MAX_LORAS = re.compile(r'^vllm:lora_requests_info\{.*max_lora="(?P<count>\d+)"', re.MULTILINE)
FLAGS = {"max_model_len": "--max-model-len", "max_loras": "--max-loras"}


def read_limits(engine: Engine) -> dict[str, int]:
    """Return the limits that an engine tells: its context always, its slots once it has served a style.

    It tells no rank: a style above it fails when it is loaded, and the placement's note says so. A cluster
    tells nothing. Raises EngineUnavailable.
    """
    check_health(engine)
    if engine.kind == Engine.Kind.RAY:
        return {}
    found = {}
    base = read_bases(engine).get(engine.base_model.name, {})
    context = base.get("max_model_len")
    if isinstance(context, int):
        found["max_model_len"] = context
    slots = read_slots(engine)
    if slots:
        found["max_loras"] = max(slots)
    return found


def diagnose_engines() -> dict[str, list[str]]:
    """Return engine → what is wrong with it, of those that are to take requests."""
    found = {}
    for engine in Engine.objects.in_service().select_related("base_model"):
        try:
            found[engine.name] = find_differences(engine)
        except EngineUnavailable as error:
            found[engine.name] = [f"not responding: {error.message}"]
    return found


def find_differences(engine: Engine) -> list[str]:
    """Return what an engine says of itself that its row denies. Raises EngineUnavailable."""
    differences = []
    for name, limit in read_limits(engine).items():
        registered = getattr(engine, name)
        if limit != registered:
            differences.append(f"its {FLAGS[name]} is {limit}, but {registered} is registered")
    if engine.kind != Engine.Kind.RAY:
        bases = read_bases(engine)
        if engine.base_model.name not in bases:
            differences.append(f"it serves {', '.join(bases) or 'nothing'}, not {engine.base_model.name}")
    return differences


def read_bases(engine: Engine) -> dict[str, dict[str, object]]:
    """Return the models that an engine serves beside adapters, by name. Raises EngineUnavailable."""
    models = json.loads(read_page(engine, "/v1/models"))["data"]
    return {str(model["id"]): model for model in models if not model.get("parent")}


def read_slots(engine: Engine) -> set[int]:
    """Return the counts of slots that an engine's metrics name. Raises EngineUnavailable."""
    return {int(count) for count in MAX_LORAS.findall(read_page(engine, "/metrics"))}
