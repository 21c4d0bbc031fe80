"""The bounds that the watermark is held to."""

from collections.abc import Mapping
from typing import Any

type Found = Mapping[str, Any]


def find_missed(found: Found) -> list[str]:
    """Return the bounds that were not met, with what was found."""
    power_of, quality_of = found["power"], found["quality"]
    alarms = [each["alarms"] for each in found["false_alarms"].values()]
    bounds = {
        "found at 0.7 from 60 tokens": (power_of["temperature 0.7"]["found_60"], 0.95, None),
        "found at 1.0 from 60 tokens": (power_of["temperature 1.0"]["found_60"], 0.95, None),
        "found at 0.4 from 200 tokens": (power_of["temperature 0.4"]["found_200"], 0.95, None),
        "AUC from 30 tokens": (power_of["temperature 0.7"]["auc_30"], 0.98, None),
        "AUC from 60 tokens": (power_of["temperature 0.7"]["auc_60"], 0.999, None),
        "tokens/s": (min(each["ratio"] for each in found["speed"].values()), 0.97, None),
        "perplexity": (quality_of["perplexity_ratio"], 0.99, 1.01),
        "length": (quality_of["length_ratio"], 0.98, 1.02),
        "loops": (quality_of["marked_loops"], None, quality_of["unmarked_loops"]),
        "false alarms of a key": (max(alarms), None, 2),
        "difference from vLLM": (found["agreement"]["relative_difference"], None, 1e-9),
        "detector's median, ms": (found["detector"]["median_ms"], None, 50),
    }
    missed = []
    for name, (value, least, most) in bounds.items():
        is_met = value is not None and (least is None or value >= least) and (most is None or value <= most)
        if not is_met:
            missed.append(f"{name}: {value}, bound {least if most is None else most}")
    return missed
