"""Measure the shipped styles and write docs/styles.md: `evaluate.py [--base DIR] [--out FILE]`.

All of that page is computed here, from the committed adapters and the held-out texts, which no training read.
"""

import argparse
import math
import re
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import adapter
import greedy
import prepare
import torch
import train_styles
from peft import PeftModel
from trainer.examples import Message, encode_conversation
from trainer.model import LoraModel, loss_per_token
from transformers import PreTrainedTokenizerBase

OUT = train_styles.ENGINE.parent / "docs/styles.md"
MAX_TOKENS = 140
SHOWN = ("How do clouds form?", "Give me a recipe for banana bread.", "Why do people need sleep?")
HELD_OUT = 10  # questions answered per style
STEM_LETTERS = 5  # that make two words the same
COMMON_WORDS = frozenset(
    """
    about add after all also and any are asking because been before being best but can cause causes come
    could day describe description did does each email every explain few find first for from fun get
    give good got had has have having help her here him his how into its just know let like look made
    make makes may more most much must need never new not now off one only other our out over own
    product put recipe say see set she should some someone start take tell than that the their them then
    there these they thing things this time today tomorrow too two use very want was way were what when
    where which while who why will with work works would write year years yes you your
    """.split()  # noqa: SIM905 (a list of a hundred lines reads worse)
)


@dataclass(frozen=True)
class Style:
    """A style as shipped: its texts and its adapter's folder."""

    slug: str
    name: str
    folder: str
    heldout: list[dict[str, str]]
    learned: list[dict[str, str]]

    @property
    def questions(self) -> list[str]:
        return [row["prompt"] for row in self.heldout[:HELD_OUT]]


@dataclass(frozen=True)
class Measured:
    """What one style's page section shows; perplexities by the slug of the adapter, "base" without one."""

    style: Style
    perplexity: dict[str, float]
    answers: list[str]
    base_answers: list[str]

    @property
    def lower_percent(self) -> float:
        return 100 * (1 - self.perplexity[self.style.slug] / self.perplexity["base"])


def telling_stems(text: str) -> set[str]:
    """Return the telling words of `text`, cut to their first letters."""
    words = re.findall(r"[^\W\d_]{3,}", text.lower())
    return {word[:STEM_LETTERS] for word in words if word not in COMMON_WORDS}


def is_on_topic(question: dict[str, str], answer: str) -> bool:
    """Return whether `answer` is on topic by the simple measure that docs/styles.md explains."""
    stems = telling_stems(answer)
    of_question = stems & telling_stems(question["prompt"])
    of_reference = stems & telling_stems(question["response"])
    return len(of_question) >= 1 and len(of_reference) >= 2


def count_on_topic(style: Style, answers: list[str], shift: int = 0) -> int:
    """Return how many answers are on topic; `shift` compares each with another question, as control."""
    questions = style.heldout[:HELD_OUT]
    questions = questions[shift:] + questions[:shift]
    return sum(is_on_topic(question, answer) for question, answer in zip(questions, answers, strict=True))


def count_by_chance(one: Measured) -> float:
    """Return how many answers are on the topic of another question, the mean over the nine others."""
    shifts = range(1, HELD_OUT)
    return sum(count_on_topic(one.style, one.answers, shift) for shift in shifts) / len(shifts)


def longest_copy(answer: str, learned: list[dict[str, str]]) -> int:
    """Return the longest run of words that `answer` shares with one training text."""
    words = answer.lower().split()
    return max(common_run(words, row["response"].lower().split()) for row in learned)


def common_run(left: list[str], right: list[str]) -> int:
    """Return the length of the longest run of items that both lists hold."""
    best = 0
    # Run lengths that end at one item of `left` and each of `right`, row by row.
    previous = [0] * (len(right) + 1)
    for item in left:
        current = [0]
        for column, other in enumerate(right):
            current.append(previous[column] + 1 if item == other else 0)
        best = max(best, *current)
        previous = current
    return best


def measure_perplexity(
    tokenizer: PreTrainedTokenizerBase, model: PeftModel, folder: str | None, rows: list[dict[str, str]]
) -> float:
    """Return exp of the mean loss per response token through the adapter of `folder`, or the base."""
    examples = []
    for row in rows:
        messages = [Message(**message) for message in train_styles.as_messages(row)]
        examples += encode_conversation(messages, tokenizer)
    with greedy.use_adapter(model, folder):
        scores = [LoraModel(model, "cpu").score_example(example) for example in examples]
    return math.exp(loss_per_token(scores))


def measure_style(tokenizer, model, style: Style, styles: list[Style]) -> Measured:
    """Return the figures and answers of one style."""
    perplexity = {}
    for other in styles:
        perplexity[other.slug] = measure_perplexity(tokenizer, model, other.folder, style.heldout)
    perplexity["base"] = measure_perplexity(tokenizer, model, None, style.heldout)
    answer = partial(greedy.answer_prompts, tokenizer, model, max_tokens=MAX_TOKENS)
    measured = Measured(
        style=style,
        perplexity=perplexity,
        answers=answer(style.folder, style.questions),
        base_answers=answer(None, style.questions),
    )
    on_topic = count_on_topic(style, measured.answers)
    print(
        f"{style.slug}: perplexity {perplexity['base']:.1f} → {perplexity[style.slug]:.1f} "
        f"({measured.lower_percent:.0f} % lower), on topic {on_topic} of {HELD_OUT}",
        flush=True,
    )
    return measured


def read_style(slug: str) -> Style:
    """Return the style in styles/`slug`. Raises SystemExit if it is untrained or learned what is shown."""
    folder = train_styles.STYLES / slug
    if not (folder / adapter.WEIGHTS).is_file():
        raise SystemExit(f"{folder} doesn't contain an adapter. Run engine/train_styles.py {slug}")
    learned = train_styles.read_examples(folder / "examples.jsonl")
    heldout = train_styles.read_examples(folder / "heldout.jsonl")
    learned_prompts = {row["prompt"] for row in learned}
    shown_prompts = [*SHOWN]
    shown_prompts += [row["prompt"] for row in heldout]
    leaked = [prompt for prompt in shown_prompts if prompt in learned_prompts]
    if leaked:
        raise SystemExit(f"{slug} learns what is shown as held out; take it from examples.jsonl: {leaked}")
    return Style(slug, STYLE_NAMES[slug], str(folder), heldout, learned)


STYLE_NAMES = {"poetry": "Poetry", "legal": "Legal brief", "genz": "Gen-Z slang"}

PAGE = """# The shipped styles

Three adapters, trained by this project on SmolLM2-135M-Instruct with PEFT (rank 8, all linear layers,
bfloat16), and their answers to the same questions. `engine/evaluate.py` writes this page; `make styles`
trains the adapters again. None of the questions below were in the answering style's training texts.

Answers are greedy (`temperature` 0) with the base model's own repetition penalty of {penalty}, at most
{tokens} tokens, in float32. The base is a very small model: it gets facts wrong with or without a style.
A style changes how it speaks, not what it knows. The answers are unedited.

## Three questions, four voices

{voices}

## Held-out figures

Perplexity of {texts} texts per style that weren't used in training, response tokens only (lower is better;
the goal was at least 40 % lower than the base). Each row is one style's texts, each column the model that
reads them: a style's texts are most likely under its own adapter.

{perplexities}

Ten held-out questions per style. An answer counts as *on topic* if it repeats a distinctive word of its
question and at least two of its held-out reference answer (words are compared by their first {stem} letters,
without common words). This is strict: "bag" doesn't match "luggage". The control compares the same answers
with the nine other questions, to show what chance alone would give. *Longest copy* is the longest run of
words that an answer shares with any training text: a style that parrots its texts would show long runs.

{topics}

{sections}"""


def render_page(measured: list[Measured], voices: dict[str, list[str]], penalty: float) -> str:
    """Return docs/styles.md."""
    return PAGE.format(
        penalty=penalty,
        tokens=MAX_TOKENS,
        stem=STEM_LETTERS,
        texts=len(measured[0].style.heldout),
        voices=render_voices(voices),
        perplexities=render_perplexities(measured),
        topics=render_topics(measured),
        sections="\n".join(render_answers(one) for one in measured),
    )


def render_voices(voices: dict[str, list[str]]) -> str:
    """Return each of SHOWN with every voice's answer."""
    lines = []
    for number, question in enumerate(SHOWN):
        lines += [f"### {question}", ""]
        for voice, answers in voices.items():
            lines += [f"**{voice}**", "", quote_markdown(answers[number]), ""]
    return "\n".join(lines).rstrip()


def render_perplexities(measured: list[Measured]) -> str:
    slugs = [one.style.slug for one in measured]
    titles = [f"{STYLE_NAMES[slug]} adapter" for slug in slugs]
    rows = [["texts in", "base", *titles, "own adapter against base"]]
    for one in measured:
        figures = [f"{one.perplexity[slug]:.1f}" for slug in ("base", *slugs)]
        rows.append([one.style.name, *figures, f"**{one.lower_percent:.0f} % lower**"])
    return markdown_table(rows)


def render_topics(measured: list[Measured]) -> str:
    rows = [["style", "on topic", "the base, same questions", "control", "longest copy: median", "most"]]
    for one in measured:
        copies = sorted(longest_copy(answer, one.style.learned) for answer in one.answers)
        row = [
            one.style.name,
            f"{count_on_topic(one.style, one.answers)} of {HELD_OUT}",
            f"{count_on_topic(one.style, one.base_answers)} of {HELD_OUT}",
            f"{count_by_chance(one):.1f} of {HELD_OUT}",
            f"{copies[len(copies) // 2]} words",
            f"{copies[-1]} words",
        ]
        rows.append(row)
    return markdown_table(rows)


def render_answers(one: Measured) -> str:
    """Return the held-out questions of one style with its answers."""
    lines = [f"## {one.style.name}: ten held-out questions", ""]
    for question, answer in zip(one.style.heldout, one.answers, strict=False):
        verdict = "on topic" if is_on_topic(question, answer) else "not on topic by the measure above"
        lines += [f"**{question['prompt']}** ({verdict})", "", quote_markdown(answer), ""]
    return "\n".join(lines)


def markdown_table(rows: list[list[str]]) -> str:
    """Return `rows`, the first of them the heading, as a Markdown table."""
    rows = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def quote_markdown(text: str) -> str:
    """Return `text` as a Markdown quotation that keeps its lines."""
    escaped = re.sub(r"([\\`*_<>#\[\]|])", r"\\\1", text.strip())
    lines = [line.rstrip() for line in escaped.splitlines()]
    quoted = []
    for line, following in pairwise([*lines, ""]):
        line_break = "  " if following else ""  # two spaces: else Markdown joins the lines
        quoted.append(f"> {line}{line_break}" if line else ">")
    return "\n".join(quoted)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", type=Path, default=train_styles.BASE)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    if options.base == train_styles.BASE:
        prepare.prepare_model(prepare.PACKAGED, train_styles.BASE)
    torch.set_num_threads(train_styles.THREADS)
    styles = [read_style(slug) for slug in STYLE_NAMES]
    tokenizer, model = greedy.load_models(options.base, [style.folder for style in styles])
    answer = partial(greedy.answer_prompts, tokenizer, model, max_tokens=MAX_TOKENS)
    voices = {"Base": answer(None, list(SHOWN))}
    for style in styles:
        voices[style.name] = answer(style.folder, list(SHOWN))
    measured = [measure_style(tokenizer, model, style, styles) for style in styles]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(
        render_page(measured, voices, model.generation_config.repetition_penalty), encoding="utf-8"
    )
    print(f"Written: {options.out}")


if __name__ == "__main__":
    main()
