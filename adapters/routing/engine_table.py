"""The table engine → facts: one row an engine that is in service, as JSON.

`url`, `kind`, `healthy`, `draining`, its limits `max_model_len`, `max_num_seqs`, `max_loras` and
`max_cpu_loras`, and its `base_model`. `base` is the name under which it serves the product's base model
without a style, "" if it serves another one; `base_created` is when that was registered, in Unix seconds.
"""

import json

from django.conf import settings

from adapters.models import Engine
from adapters.models.engines import EngineQuerySet

type Rows = dict[str, str]  # engine name → row


def rows_of_engines(engines: list[Engine]) -> Rows:
    """Return the rows of those engines, read with their base models, that are in service."""
    rows: Rows = {}
    for engine in engines:
        if not engine.is_gone:
            rows[engine.name] = json.dumps(_describe(engine))
    return rows


def with_base_models(engines: EngineQuerySet) -> EngineQuerySet:
    """Return engines to be read with their base models, without the shapes of weights, which are large."""
    return engines.select_related("base_model").defer("base_model__config", "base_model__modules")


def _describe(engine: Engine) -> dict[str, object]:
    base_model = engine.base_model
    return {
        "url": engine.url,
        "kind": engine.kind,
        "healthy": engine.is_healthy,
        "draining": engine.is_draining,
        "max_model_len": engine.max_model_len,
        "max_num_seqs": engine.max_num_seqs,
        "max_loras": engine.max_loras,
        "max_cpu_loras": engine.max_cpu_loras,
        "base_model": base_model.name,
        "base": base_model.name if base_model.name == settings.BASE_MODEL else "",
        "base_created": int(base_model.created_at.timestamp()),
    }
