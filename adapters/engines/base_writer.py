"""What the served base model writes for the product itself, such as the briefs that a training needs.

The requests go to an engine at the lowest rank: tenants' requests come first. They aren't metered (decision
60 says why they don't go through the gateway).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from django.conf import settings

from adapters.engines import client as engine_client
from adapters.engines.capacity import Layers
from adapters.errors import EngineUnavailable
from adapters.models import BaseModel, Engine
from adapters.validation import BaseShape

CONCURRENT_REQUESTS = 8


def count_base_parameters() -> int:
    """Return how many parameters the site's base model has; 0 while none is registered."""
    base = BaseModel.objects.filter(name=settings.BASE_MODEL).first()
    return Layers.of(BaseShape.of(base.name, base.config, base.modules)).parameters if base else 0


def write_with_base(prompts: Sequence[str], *, max_tokens: int) -> list[str]:
    """Return the base model's answer to each prompt, "" where the engine is well and refuses the prompt.

    Raises EngineUnavailable.
    """
    # The name of the base model is read in other threads: a row that is loaded there keeps a connection.
    engines = Engine.objects.filter(base_model__name=settings.BASE_MODEL, is_healthy=True, is_draining=False)
    engine = engines.filter(is_gone=False).select_related("base_model").first()
    if engine is None:
        raise EngineUnavailable
    with ThreadPoolExecutor(CONCURRENT_REQUESTS) as pool:
        return list(pool.map(partial(_write, engine, max_tokens=max_tokens), prompts))


def _write(engine: Engine, prompt: str, *, max_tokens: int) -> str:
    try:
        return engine_client.complete(engine, engine.base_name, prompt, tokens=max_tokens)
    except EngineUnavailable:
        if not engine_client.is_healthy(engine):
            raise
        return ""
