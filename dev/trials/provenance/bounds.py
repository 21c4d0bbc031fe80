"""The bounds that the watermark is held to."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

type Found = Mapping[str, Any]


@dataclass(frozen=True)
class Bound:
    """What a figure of a part may be."""

    part: str
    title: str
    read: Callable[[Found], float | None]
    least: float = -math.inf
    most: float = math.inf

    def is_met(self, value: float | None) -> bool:
        """Return whether something was found, within the bound."""
        return value is not None and self.least <= value <= self.most


def alarms_of_keys(found: Found) -> list[int]:
    """Return the alarms of each key in use; those of random keys show whether they are by chance."""
    return [each["alarms"] for name, each in found.items() if "epoch" in name]


BOUNDS = (
    Bound("power", "found at 0.7 from 60 tokens", lambda it: it["temperature 0.7"]["found_60"], least=0.95),
    Bound("power", "found at 1.0 from 60 tokens", lambda it: it["temperature 1.0"]["found_60"], least=0.95),
    Bound("power", "found at 0.4 from 200 tokens", lambda it: it["temperature 0.4"]["found_200"], least=0.95),
    Bound("power", "AUC from 30 tokens", lambda it: it["temperature 0.7"]["auc_30"], least=0.98),
    Bound("power", "AUC from 60 tokens", lambda it: it["temperature 0.7"]["auc_60"], least=0.999),
    Bound("defaults", "found at defaults", lambda it: min(each["found"] for each in it.values()), least=0.99),
    Bound("speed", "tokens/s", lambda it: min(each["ratio"] for each in it.values()), least=0.97),
    Bound("quality", "perplexity", lambda it: it["perplexity_ratio"], least=0.99, most=1.01),
    Bound("quality", "length", lambda it: it["length_ratio"], least=0.98, most=1.02),
    Bound("quality", "more loops", lambda it: it["marked_loops"] - it["unmarked_loops"], most=0),
    Bound("false_alarms", "alarms of a key", lambda it: max(alarms_of_keys(it)), most=2),
    Bound("agreement", "difference from vLLM", lambda it: it["relative_difference"], most=1e-9),
    # By processor time: what else runs on the machine isn't the detector's.
    Bound("detector", "processor time, ms", lambda it: it["cpu_ms"], most=50),
)


def find_missed(found: Found) -> list[str]:
    """Return the bounds that were not met, with what was found; parts that were not measured are left out."""
    missed = []
    for bound in BOUNDS:
        if bound.part in found:
            value = bound.read(found[bound.part])
            if not bound.is_met(value):
                missed.append(f"{bound.title}: {value}")
    return missed
