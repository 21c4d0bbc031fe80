"""Whether the model can answer, in words for people."""

import re
from dataclasses import dataclass

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from adapters.engines import client
from adapters.errors import EngineUnavailable
from adapters.models import Engine

# What an engine says of its own limits, and whether its row says the same.

MAX_LORAS = re.compile(r'^vllm:lora_requests_info\{.*max_lora="(?P<count>\d+)"', re.MULTILINE)
FLAGS = {"max_model_len": "--max-model-len", "max_loras": "--max-loras"}


def read_limits(engine: Engine) -> dict[str, int]:
    """Return the limits that an engine tells: its context always, its slots once it has served a style.

    It tells no rank: a style above it fails when it is loaded, and the placement's note says so. A cluster
    tells nothing. Raises EngineUnavailable.
    """
    client.check_health(engine)
    if engine.kind == Engine.Kind.RAY:
        return {}
    found = {}
    bases, _adapters = client.read_models(engine)
    context = bases.get(engine.base_model.name, {}).get("max_model_len")
    if isinstance(context, int):
        found["max_model_len"] = context
    slots = MAX_LORAS.findall(client.read_page(engine, "/metrics"))
    if slots:
        found["max_loras"] = max(map(int, slots))
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
        bases, _adapters = client.read_models(engine)
        if engine.base_model.name not in bases:
            differences.append(f"it serves {', '.join(bases) or 'nothing'}, not {engine.base_model.name}")
    return differences


@dataclass(frozen=True)
class Readiness:
    """One of ready, starting, away and missing; and what that means."""

    word: str
    sentence: str | Promise

    @property
    def is_ready(self) -> bool:
        return self.word == "ready"

    @property
    def is_changing(self) -> bool:
        """Whether it is worth asking again in a few seconds."""
        return self.word in ("starting", "away")


READY = Readiness("ready", _("The model is ready."))
STARTING = Readiness("starting", _("The model is starting. This takes about a minute."))
NOT_RESPONDING = Readiness("away", _("The model isn't responding. We retry every few seconds."))
MISSING = Readiness("missing", _("No model is set up yet. Please contact the operators of this site."))


def engine_readiness() -> Readiness:
    """Return whether an engine of the site's base model answers; one query."""
    engines = Engine.objects.filter(base_model__name=settings.BASE_MODEL, is_gone=False)
    known = list(engines.only("is_healthy", "is_draining", "checked_at"))
    # What a silent worker wrote last may be long untrue.
    reporting = [engine for engine in known if not engine.is_silent]
    if any(engine.is_healthy and not engine.is_draining for engine in reporting):
        return READY
    if reporting:
        return STARTING
    return NOT_RESPONDING if known else MISSING
