"""How an answer is drawn: by the request's own `temperature` and `top_p`, else by those of its style.

Each of the two is filled in by itself, so no answer runs at what a base model's files say (decision 75).
"""

from typing import NamedTuple

from django.conf import settings

from inference.facts import JsonObject

GREEDY_BELOW = 1e-5  # vLLM's _SAMPLING_EPS; below it the likeliest token is taken, and nothing is drawn


class Sampling(NamedTuple):
    """What a request gets that sends none."""

    temperature: float
    top_p: float

    def missing_in(self, fields: JsonObject) -> JsonObject:
        """Return what the engine gets beside a request's own fields; nothing where it wants no draw."""
        if is_greedy(fields):
            return {}
        return {name: value for name, value in zip(self._fields, self, strict=True) if name not in fields}

    def describe(self, fields: JsonObject) -> str:
        """Return what the answer to these fields is drawn with, as its header says it."""
        if is_greedy(fields):
            return "temperature=0"
        temperature = fields.get("temperature", self.temperature)
        return f"temperature={temperature:g}; top_p={fields.get('top_p', self.top_p):g}"


def is_greedy(fields: JsonObject) -> bool:
    """Return whether a request wants the likeliest tokens. No style has that as its default."""
    return bool(fields.get("temperature", 1) < GREEDY_BELOW)


def sampling_of_style(facts: JsonObject) -> Sampling:
    """Return the defaults of a version's style; what its owner left open, the settings say."""
    return Sampling(
        facts.get("temperature", settings.STYLE_TEMPERATURE), facts.get("top_p", settings.STYLE_TOP_P)
    )


def sampling_of_base() -> Sampling:
    """Return the base model's defaults."""
    return Sampling(settings.BASE_TEMPERATURE, settings.BASE_TOP_P)
