"""Whether an engine is as its row says: validation accepts what the row allows."""

from adapters.engines.client import check_health
from adapters.engines.own_limits import read_bases, read_slots
from adapters.errors import EngineUnavailable
from adapters.models import Engine


def find_differences(engine: Engine) -> list[str]:
    """Return what an engine says of itself that its row denies. Raises EngineUnavailable.

    vLLM tells its context and, once it has served, its slots. It tells no rank: a style above it fails when
    it is loaded, and the placement's note says so.
    """
    check_health(engine)
    if engine.kind == Engine.Kind.RAY:
        return []
    return [*_compare_models(engine), *_compare_slots(engine)]


def _compare_models(engine: Engine) -> list[str]:
    bases = read_bases(engine)
    base = bases.get(engine.base_model.name)
    if base is None:
        return [f"it serves {', '.join(bases) or 'nothing'}, not {engine.base_model.name}"]
    context = base.get("max_model_len")
    if context and context != engine.max_model_len:
        return [f"its --max-model-len is {context}, but {engine.max_model_len} is registered"]
    return []


def _compare_slots(engine: Engine) -> list[str]:
    counts = read_slots(engine)
    if counts and counts != {engine.max_loras}:
        return [f"its --max-loras is {max(counts)}, but {engine.max_loras} is registered"]
    return []


def diagnose_engines() -> dict[str, list[str]]:
    """Return engine → what is wrong with it, of those that are to take requests."""
    found = {}
    for engine in Engine.objects.filter(is_gone=False, is_draining=False).select_related("base_model"):
        try:
            found[engine.name] = find_differences(engine)
        except EngineUnavailable as error:
            found[engine.name] = [f"not responding: {error.message}"]
    return found
