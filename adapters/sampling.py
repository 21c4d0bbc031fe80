"""Samples: a style is shown by what it writes, so one that serves is asked its sample prompt once."""

import logging

from django.db.models import F

from adapters import engine as control
from adapters.errors import EngineUnavailable
from adapters.models import Engine, Placement, Style

logger = logging.getLogger(__name__)

AT_ONCE = 4
TOKENS = 60
NOTHING = "(It wrote nothing.)"


def take_missing(engine: Engine) -> int:
    """Ask for the samples that styles on an engine lack, a few at a time; return how many were taken."""
    lacking = (
        Placement.objects.filter(engine=engine, loaded_at__isnull=False, version__style__sample="")
        .filter(version__style__live_version=F("version"))
        .exclude(version__style__sample_prompt="")
        .select_related("version__style")
    )
    taken = 0
    for placement in lacking[:AT_ONCE]:
        style = placement.version.style
        try:
            text = control.write(engine, placement.loaded_as, style.sample_prompt, tokens=TOKENS)
        except EngineUnavailable as error:
            logger.info("no sample of %s yet: %s", style, error.message)
            break
        taken += Style.objects.filter(pk=style.pk, sample="").update(sample=_trimmed(text) or NOTHING)
    return taken


def _trimmed(text: str) -> str:
    """Return whole sentences, where there are any, that fit the field."""
    text = text.strip()[: Style._meta.get_field("sample").max_length]
    end = max(text.rfind(mark) for mark in ".!?\n")
    return text[: end + 1].strip() if end > 0 else text
