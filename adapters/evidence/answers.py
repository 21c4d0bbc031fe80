"""What a version and its base model answer to the same prompts, for an evaluation. Not metered."""

from collections.abc import Callable, Sequence

from adapters.engines.client import Completion, complete_all
from adapters.errors import EngineUnavailable
from adapters.models import AdapterVersion, Placement
from adapters.placement import planner


def is_loaded(version: AdapterVersion) -> bool:
    """Return whether an engine has a version; if none has, request that one loads it."""
    if _find_placement(version):
        return True
    planner.request_placement(version)
    return False


def prepare_answers(
    version: AdapterVersion, prompts: Sequence[str], *, max_tokens: int
) -> Callable[[], tuple[list[str], list[str]]]:
    """Return a function that returns the answers of the base model and of a version to the same prompts.

    It can run in another thread: it asks the engine alone, and raises EngineUnavailable. Answers are drawn at
    temperature 1 by the prompt's number as a seed: a prompt can be there several times. Raises
    EngineUnavailable.
    """
    placement = _find_placement(version)
    if placement is None:
        raise EngineUnavailable
    engine = placement.engine
    completions = []
    for name in (engine.base_model.name, placement.loaded_as):
        completions += [Completion(name, prompt, max_tokens, seed) for seed, prompt in enumerate(prompts)]

    def answer() -> tuple[list[str], list[str]]:
        answers = complete_all(engine, completions, is_refusal_empty=True)
        return answers[: len(prompts)], answers[len(prompts) :]

    return answer


def _find_placement(version: AdapterVersion) -> Placement | None:
    loaded = Placement.objects.filter(
        version=version, is_desired=True, loaded_at__isnull=False, engine__is_healthy=True
    )
    return loaded.select_related("engine__base_model").first()
