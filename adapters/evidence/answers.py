"""What a version and its base model answer to the same prompts, for an evaluation. Not metered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.engines.client import KEEPS_WORDS, NO_SAMPLING, Completion, complete_all
from adapters.errors import EngineUnavailable
from adapters.models import AdapterVersion, Engine, Placement
from adapters.placement import planner


def is_loaded(version: AdapterVersion) -> bool:
    """Return whether an engine has a version; if none has, request that one loads it."""
    if _find_placement(version):
        return True
    planner.request_placement(version)
    return False


@dataclass(frozen=True)
class Models:
    """The base model and a version, on an engine that has both, which is loaded with its base.

    Another thread may ask them: only the engine is asked. All raise EngineUnavailable.
    """

    engine: Engine
    version: str  # its name on the engine

    def answer(
        self, prompts: Sequence[str], *, max_tokens: int, sampling: Mapping[str, float] = NO_SAMPLING
    ) -> tuple[list[str], list[str]]:
        """Return the answers of the base model and of the version to the same prompts.

        They are drawn by the prompt's number as a seed: a prompt can be there several times. The temperature
        is 1, unless `sampling` says otherwise.
        """
        completions = []
        for name in (self.engine.base_model.name, self.version):
            for seed, prompt in enumerate(prompts):
                completions.append(Completion(name, prompt, max_tokens, seed, sampling))
        answers = complete_all(self.engine, completions, is_refusal_empty=True)
        return answers[: len(prompts)], answers[len(prompts) :]

    def write_drafts(self, prompts: Sequence[str], *, max_tokens: int) -> list[str]:
        """Return the base model's likeliest answers, as a training has drafts written."""
        name = self.engine.base_model.name
        completions = [Completion(name, prompt, max_tokens, sampling=KEEPS_WORDS) for prompt in prompts]
        return complete_all(self.engine, completions, is_refusal_empty=True)


def find_models(version: AdapterVersion) -> Models:
    """Return a version beside its base model. Raises EngineUnavailable if no engine has it loaded."""
    placement = _find_placement(version)
    if placement is None:
        raise EngineUnavailable
    return Models(placement.engine, placement.loaded_as)


def _find_placement(version: AdapterVersion) -> Placement | None:
    loaded = Placement.objects.filter(
        version=version, is_desired=True, loaded_at__isnull=False, engine__is_healthy=True
    )
    return loaded.select_related("engine__base_model").first()
