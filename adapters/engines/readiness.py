"""Whether the model can answer, in words for people."""

from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from adapters.models import Engine
from adapters.models.engines import SILENT_AFTER


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
    heard_since = timezone.now() - SILENT_AFTER
    # What a silent worker wrote last may be long untrue.
    reporting = [engine for engine in known if engine.checked_at and engine.checked_at > heard_since]
    if any(engine.is_healthy and not engine.is_draining for engine in reporting):
        return READY
    if reporting:
        return STARTING
    return NOT_RESPONDING if known else MISSING
