"""What an engine says of its own limits."""

import json
import re

from adapters.engines.client import check_health, read_page
from adapters.models import Engine

MAX_LORAS = re.compile(r'^vllm:lora_requests_info\{.*max_lora="(?P<count>\d+)"', re.MULTILINE)


def read_limits(engine: Engine) -> dict[str, int]:
    """Return the limits that an engine tells: its context always, its slots once it has served a style.

    It tells no rank. Raises EngineUnavailable.
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


def read_bases(engine: Engine) -> dict[str, dict[str, object]]:
    """Return the models that an engine serves beside adapters, by name. Raises EngineUnavailable."""
    models = json.loads(read_page(engine, "/v1/models"))["data"]
    return {str(model["id"]): model for model in models if not model.get("parent")}


def read_slots(engine: Engine) -> set[int]:
    """Return the counts of slots that an engine's metrics name. Raises EngineUnavailable."""
    return {int(count) for count in MAX_LORAS.findall(read_page(engine, "/metrics"))}
