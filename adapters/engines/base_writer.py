"""What the served base model writes for the product itself, such as the briefs that a training needs.

The requests go to an engine at the lowest rank: tenants' requests come first. They aren't metered (decision
60 says why they don't go through the gateway).
"""

from collections.abc import Sequence

from django.conf import settings

from adapters.engines.capacity import Layers
from adapters.engines.client import KEEPS_WORDS, NO_SAMPLING, Completion, complete_all
from adapters.errors import EngineUnavailable
from adapters.models import BaseModel, Engine
from adapters.validation import BaseShape


def count_base_parameters() -> int:
    """Return how many parameters the site's base model has; 0 while none is registered."""
    base = BaseModel.objects.filter(name=settings.BASE_MODEL).first()
    return Layers.of(BaseShape.of(base.name, base.config, base.modules)).parameters if base else 0


def write_with_base(prompts: Sequence[str], *, max_tokens: int, keeps_words: bool = False) -> list[str]:
    """Return the base model's answer to each prompt, "" where the engine is well and refuses the prompt.

    `keeps_words`: no prompt's words are penalised in its answer. Raises EngineUnavailable.
    """
    engines = Engine.objects.filter(base_model__name=settings.BASE_MODEL, is_healthy=True, is_draining=False)
    engine = engines.filter(is_gone=False).select_related("base_model").first()
    if engine is None:
        raise EngineUnavailable
    name = engine.base_model.name
    sampling = KEEPS_WORDS if keeps_words else NO_SAMPLING
    completions = [Completion(name, prompt, max_tokens, sampling=sampling) for prompt in prompts]
    return complete_all(engine, completions, is_refusal_empty=True)
