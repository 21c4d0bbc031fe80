"""Write what `make trial NAME=provenance` found into the tables of docs/provenance.md."""

from collections.abc import Callable, Mapping
from typing import Any

from bench import report
from stack.folders import ROOT

DOC = ROOT / "docs" / "provenance.md"

type Found = Mapping[str, Any]


def percent(value: float | None) -> str:
    """Return a share as percent, a dash where there was nothing to count."""
    return report.NOTHING if value is None else f"{100 * value:.1f} %"


def speed(found: Found) -> str:
    """Return marked beside unmarked tokens per second."""
    rows = [["eight answers at once", "marked, tokens/s", "unmarked", "ratio", "ratio by processor time"]]
    for name, each in found.items():
        rates = [f"{each[f'{kind}_tokens_per_s']:.0f}" for kind in ("marked", "unmarked")]
        rows.append([name, *rates, f"{each['ratio']:.3f}", f"{each['cpu_ratio']:.3f}"])
    return report.aligned(rows)


def quality(found: Found) -> str:
    """Return what distinguishes marked answers."""
    rows = [["", "marked", "unmarked", "marked / unmarked", "95 % of samples lie between"]]
    for title, name in (("perplexity under the base", "perplexity"), ("length", "length")):
        span = f"{found[f'{name}_low']:.3f} and {found[f'{name}_high']:.3f}"
        rows.append([title, "", "", f"{found[f'{name}_ratio']:.3f}", span])
    shown = {"tokens": ".0f", "cut": ".1%", "loops": ".1%", "distinct_2": ".3f"}
    titles = ("tokens per answer", "cut at 256 tokens", "answers with a loop", "distinct pairs of words")
    for title, (name, form) in zip(titles, shown.items(), strict=True):
        rows.append(
            [title, *(f"{found[f'{kind}_{name}']:{form}}" for kind in ("marked", "unmarked")), "", ""]
        )
    return report.aligned(rows)


def power(found: Found) -> str:
    """Return how many marked answers are found."""
    lengths = [int(name.partition("_")[2]) for name in next(iter(found.values())) if name.startswith("of_")]
    rows = [
        ["found at p ≤ 1e-4", "answers", "evidence above chance", *(f"{each} tokens" for each in lengths)]
    ]
    for name, each in found.items():
        shares = [f"{percent(each[f'found_{length}'])} of {each[f'of_{length}']}" for length in lengths]
        rows.append([name, f"{each['answers']}", f"{each['nats_above_chance']:.2f}", *shares])
    first = next(iter(found.values()))
    areas = f"AUC at temperature 0.7: {first['auc_30']:.4f} from 30 tokens, {first['auc_60']:.4f} from 60."
    return f"{report.aligned(rows)}\n\n{areas}"


def defaults(found: Found) -> str:
    """Return how many answers at the defaults are found."""
    drawn_by = ("temperature", "top_p", "answers", "evidence above chance")
    rows = [["answers of 100 tokens and more", *drawn_by, "found by 100 tokens", "found"]]
    for name, each in found.items():
        drawn = [f"{each['temperature']:g}", f"{each['top_p']:g}", f"{each['answers']}"]
        shares = [percent(each["found_100"]), percent(each["found"])]
        rows.append([name, *drawn, f"{each['nats_above_chance']:.2f}", *shares])
    return report.aligned(rows)


def variety(found: Found) -> str:
    """Return how different answers to one prompt are."""
    lengths = [name for name in next(iter(found.values())) if name.startswith("distinct_")]
    rows = [
        [
            "different beginnings among 8",
            "prompts",
            *(f"first {name.partition('_')[2]} tokens" for name in lengths),
        ]
    ]
    for name, each in found.items():
        rows.append([name, f"{each['prompts']}", *(percent(each[length]) for length in lengths)])
    return report.aligned(rows)


def edits(found: Found) -> str:
    """Return what the mark survives."""
    rows = [["text", "texts", "tokens, median", "evidence above chance", "found"]]
    for name, each in found.items():
        evidence = f"{each['nats_above_chance']:.2f}"
        rows.append(
            [name, f"{each['texts']}", f"{each['median_tokens']:.0f}", evidence, percent(each["found"])]
        )
    return report.aligned(rows)


def false_alarms(found: Found) -> str:
    """Return false alarms by key."""
    rows = [["", "texts", "p ≤ 1e-4", "p ≤ 0.01", "smallest p"]]
    for name, each in found.items():
        alarms = [f"{each['alarms']}", percent(each["below_1e-2"]), f"{each['smallest_p_value']:.1e}"]
        rows.append([name, f"{each['texts']:,}", *alarms])
    return report.aligned(rows)


def agreement(found: Found) -> str:
    """Return how far the detector is from vLLM's."""
    rows = [
        ["compared with vLLM's detector", "found", "bound"],
        ["texts", f"{found['texts']:,}", "1,000"],
        ["largest relative difference of p-values", f"{found['relative_difference']:.1e}", "≤ 1e-9"],
        ["texts with another number of scored tokens", f"{found['other_counts']}", "0"],
    ]
    return report.aligned(rows)


def detector(found: Found) -> str:
    """Return the detector's time."""
    rows = [
        [f"{found['tokens']:,} tokens, {found['keys']} keys, 20 paragraphs", "found", "bound"],
        ["processor time, median, ms", f"{found['cpu_ms']:.1f}", "≤ 50"],
        ["time, median, ms", f"{found['median_ms']:.1f}", ""],
        ["slowest of 50, ms", f"{found['worst_ms']:.1f}", ""],
    ]
    return report.aligned(rows)


TABLES: dict[str, Callable[[Any], str]] = {
    "speed": speed,
    "quality": quality,
    "power": power,
    "defaults": defaults,
    "variety": variety,
    "edits": edits,
    "false_alarms": false_alarms,
    "agreement": agreement,
    "detector": detector,
}


OF_ANSWERS = ("quality", "power", "edits")


def describe_run(name: str, part: Found) -> str:
    """Return how large a run was, and what else the machine had to do."""
    size = f"{part['answers']:,} answers of each kind. " if name in OF_ANSWERS else ""
    return f"{size}The machine's load was {part['machine_load']:.0f}; the engine alone makes about 2."


def main() -> None:
    """Print the tables that there are and write them."""
    for name, part in report.read_results("provenance")["found"].items():
        table = f"{TABLES[name](part['rows'])}\n\n{describe_run(name, part)}"
        print(f"\n{name}\n{table}")
        report.between_marks(f"watermark-{name}", table, DOC)


if __name__ == "__main__":
    main()
