"""`make bench NAME=evidence-answers`: do styles do what they are asked, without the people of their books?

Needs the styles that `trials own-style` has left in var/own-style. Each style and the base answer ten
letters and twenty other requests on the real engine, as a request without a temperature is drawn. Nobody has
learned these requests. Writes a table in docs/evidence.md.
"""

import os
import re
from collections.abc import Callable, Sequence
from statistics import fmean, median

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from adapters.evidence.figures import measure_briefs  # noqa: E402
from bench import report  # noqa: E402

type Answer = Callable[[str, list[str]], list[str]]  # the name of a model, prompts → answers

LETTERS = (
    "Write a letter to the council about the street lamps.",
    "Write a letter to an aunt who has moved to the country.",
    "Write a letter to a bookseller who sent the wrong book.",
    "Write a letter that recommends a young gardener.",
    "Write a letter to a friend who has lost his dog.",
    "Write a letter to a school about a missing coat.",
    "Write a letter to the owner of a bakery, praising the bread.",
    "Write a letter to a cousin, asking him to the harvest supper.",
    "Write a letter to a doctor, asking for an earlier appointment.",
    "Write a letter to an editor about noisy motor-cars.",
)
REQUESTS = (
    "Describe a harbour at dawn with gulls and fishing boats.",
    "Tell of a woman who finds an old clock in the attic.",
    "Write about two brothers who quarrel over a mill.",
    "Describe a long walk over frozen fields to a church.",
    "Write a scene in which a teacher returns a stolen pencil.",
    "Tell how a child teaches a parrot to sing.",
    "Describe a garden wall covered with ivy after the rain.",
    "Write about a stranger who arrives at an inn without luggage.",
    "Describe a market stall with apples, honey and candles.",
    "Tell of a ship that waits three days for wind.",
    "Write a scene between a judge and a thief at supper.",
    "Describe a piano that nobody has played for years.",
    "Write about a bridge that was washed away by the flood.",
    "Tell of a letter that arrives ten years too late.",
    "Describe the kitchen of a large house before a wedding.",
    "Write about a shepherd who is afraid of the dark.",
    "Describe a winter evening beside the stove with a book.",
    "Tell of a gardener who refuses to sell his roses.",
    "Write a scene in which rain interrupts a picnic.",
    "Describe a mountain village on the day of the fair.",
)
BEGINS_AS_LETTER = re.compile(
    r"\W*(?:(?:my )?dear|to (?:the|whom|my)|sir|madam|gentlemen|hello|hi)\b|.{0,200}\n\s*(?:my )?dear\b",
    re.IGNORECASE | re.DOTALL,
)


def measure_requests(style: str, base: str, names: Sequence[str], answer: Answer) -> dict[str, float]:
    """Return a style's figures beside the base's. `names` are often mentioned in its texts."""
    found: dict[str, float] = {}
    for who, model in (("base", base), ("style", style)):
        letters, others = answer(model, list(LETTERS)), answer(model, list(REQUESTS))
        found[f"{who}_taken_up"] = fmean(measure_briefs(REQUESTS, others))
        found[f"{who}_letters"] = sum(bool(BEGINS_AS_LETTER.match(text)) for text in letters)
        found[f"{who}_named"] = sum(any(re.search(rf"\b{name}\b", text) for name in names) for text in others)
    return {name: round(value, 3) for name, value in found.items()}


def describe_requests(found: dict[str, dict[str, float]]) -> str:
    """Return the table, and which bounds hold."""
    rows = [["author", "words taken up: base", "style", "letters: base", "style", "named: base", "style"]]
    for author, figures in found.items():
        cells = [f"{figures['base_taken_up']:.2f}", f"{figures['style_taken_up']:.2f}"]
        for name in ("letters", "named"):
            cells += [f"{figures[f'{who}_{name}']:.0f}" for who in ("base", "style")]
        rows.append([author.capitalize(), *cells])
    share = median(one["style_taken_up"] / max(0.01, one["base_taken_up"]) for one in found.values())
    letters = min(one["style_letters"] for one in found.values())
    named = max(one["style_named"] for one in found.values())
    verdicts = [
        f"Words taken up: {share:.2f} of the base's (median; bound 0.85, {report.verdict(share >= 0.85)})",
        f"of 10 letters, {letters:.0f} or more begin as letters (bound 8, {report.verdict(letters >= 8)})",
        f"of 20 answers, {named:.0f} at most name somebody or some place of the books (bound 1, "
        f"{report.verdict(named <= 1)})",
    ]
    return f"{report.aligned(rows)}\n\n{'; '.join(verdicts)}."
