"""What a version and its base model answer to the same prompts, for an evaluation. Not metered."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from adapters.engines import client as engine_client
from adapters.errors import EngineUnavailable
from adapters.models import AdapterVersion, Placement
from adapters.placement import planner

CONCURRENT_REQUESTS = 8


def is_loaded(version: AdapterVersion) -> bool:
    """Return whether an engine has a version; where none has, one is asked to load it."""
    if _find_placement(version):
        return True
    planner.request_placement(version)
    return False


def answer_prompts(
    version: AdapterVersion, prompts: Sequence[str], *, max_tokens: int
) -> tuple[list[str], list[str]]:
    """Return the answers of the base model, and those of a version, to the same prompts.

    They are drawn at temperature 1 by the prompt's number as a seed: a prompt can be there several times.
    Raises EngineUnavailable.
    """
    placement = _find_placement(version)
    if placement is None:
        raise EngineUnavailable
    engine = placement.engine
    seeds = range(len(prompts))
    ask = partial(engine_client.complete, engine, tokens=max_tokens)
    with ThreadPoolExecutor(CONCURRENT_REQUESTS) as pool:
        base = pool.map(lambda prompt, seed: ask(engine.base_name, prompt, seed=seed), prompts, seeds)
        style = pool.map(lambda prompt, seed: ask(placement.loaded_as, prompt, seed=seed), prompts, seeds)
        return list(base), list(style)


def _find_placement(version: AdapterVersion) -> Placement | None:
    loaded = Placement.objects.filter(
        version=version, is_desired=True, loaded_at__isnull=False, engine__is_healthy=True
    )
    return loaded.select_related("engine__base_model").first()
