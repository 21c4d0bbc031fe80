"""Examples: what a style is trained on. Most are a prompt and the passage, or its rest, that answers it.

`plan_examples` makes every random choice. A writer, the served base model, may answer plans with a brief or a
draft (`writer_prompts.py`); `make_examples` completes the plans with the answers that there are. What is
learned has other names (`names.py`). Some examples are everyday instructions with the base's own answers.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from core.sentences import sentence_ends
from training.corpus.build import Corpus
from training.corpus.instructions import Instruction, usable_answers
from training.corpus.names import LEAST_KEYWORDS, Cast, KeywordIndex
from training.corpus.pairs import cut_parts, join_parts, kept_share
from training.corpus.passages import Passage, draw
from training.corpus.shingles import shares_shingle
from training.text import WORD, count_words

# Where a passage is divided into a beginning, which is given, and a rest, which is learned.

# A third is enough to continue in the same tone; beyond a half, little is left to learn.
BEGINNING_PERCENT = 30
LEAST_BEGINNING_PERCENT = 15
MOST_BEGINNING_PERCENT = 45


def split_beginning(text: str) -> tuple[str, str]:
    """Return the beginning and the rest of a passage.

    They are divided after a sentence or, if none ends nearby, before a word. Neither is empty if the passage
    has at least two words.
    """
    starts = [match.start() for match in WORD.finditer(text)]
    wanted = starts[len(starts) * BEGINNING_PERCENT // 100 or 1]
    earliest = starts[len(starts) * LEAST_BEGINNING_PERCENT // 100]
    latest = starts[len(starts) * MOST_BEGINNING_PERCENT // 100]
    ends = [end for end in sentence_ends(text) if earliest < end <= latest]
    cut = min(ends, key=lambda end: abs(end - wanted)) if ends else wanted
    return text[:cut].strip(), text[cut:].strip()


# Whether a writer's answer can be used as a brief or a draft.

LEAST_BRIEF_WORDS = 5
MOST_BRIEF_WORDS = 60
# A draft that is much shorter or longer than its passage was cut off, or is about something else.
LEAST_DRAFT_PERCENT = 40
MOST_DRAFT_PERCENT = 200
# From a draft with other content a style learns to invent (docs/training.md says how many are dropped).
LEAST_KEPT = 0.3  # of the passage's content words and names
LEAST_KNOWN = 0.6  # of its own, that the passage has, too
WHITE_SPACE = re.compile(r"\s+")
PREAMBLE = re.compile(r"\A[^\n]*:\s*\n\s*")  # "Here is the text in other words:"


def draft_id(part: str) -> str:
    """Return the name under which the draft of a part of a passage is kept: of the part with these names."""
    return f"draft-{hashlib.sha256(part.encode()).hexdigest()[:16]}"


def usable_brief(answer: str | None, passage: str) -> str | None:
    """Return a brief in one line and at most 60 words; None if it is missing, empty or quotes the passage."""
    if answer is None:
        return None
    brief = _cut_brief(WHITE_SPACE.sub(" ", answer).strip())
    if count_words(brief) < LEAST_BRIEF_WORDS or shares_shingle(brief, passage):
        return None
    return brief


def usable_draft(
    answer: str | None, passage: str, language: str, *, least_kept: float = LEAST_KEPT
) -> str | None:
    """Return a draft; None if it is missing, of other length or content than the passage, or quotes it."""
    if answer is None:
        return None
    draft = PREAMBLE.sub("", answer.strip())
    percent = count_words(draft) * 100 // max(1, count_words(passage))
    if not LEAST_DRAFT_PERCENT <= percent <= MOST_DRAFT_PERCENT or shares_shingle(draft, passage):
        return None
    kept, known = kept_share(passage, draft, language), kept_share(draft, passage, language)
    return draft if kept >= least_kept and known >= LEAST_KNOWN else None


def _cut_brief(brief: str) -> str:
    """Return at most 60 words of a brief, up to the end of a sentence if one ends in their second half."""
    words = list(WORD.finditer(brief))
    if len(words) <= MOST_BRIEF_WORDS:
        return brief
    cut = words[MOST_BRIEF_WORDS - 1].end()
    half = words[MOST_BRIEF_WORDS // 2].end()
    ends = [end for end in sentence_ends(brief) if half <= end <= cut + 2]
    return brief[: ends[-1] if ends else cut]


# The wordings of the three tasks: several each, so that a style answers what people really type.
#
# `{words}` is the length of the answer in words, rounded; a style learns to follow it.


@dataclass(frozen=True)
class Wordings:
    """The prompts of one language."""

    brief: tuple[str, ...]
    keywords: tuple[str, ...]
    draft: tuple[str, ...]
    continuation: tuple[str, ...]


ENGLISH = Wordings(
    brief=(
        "{brief}",
        "Write this for me: {brief}",
        "Write a passage based on this brief.\n\n{brief}",
        "Write about {words} words.\n\n{brief}",
        "Here's what I need: {brief}",
        "Please write the passage described here: {brief}",
    ),
    keywords=(
        "Write a passage about {keywords}.",
        "Write a passage that includes the following: {keywords}.",
        "Write about {words} words on {keywords}.",
        "Keywords: {keywords}. Turn them into a passage.",
        "Write this up from my notes: {keywords}.",
        "Please write something about {keywords}.",
    ),
    draft=(
        "Rewrite this as I would:\n\n{draft}",
        "Put this in my own voice.\n\n{draft}",
        "Rewrite the following in my style.\n\n{draft}",
        "Here's a draft. Make it sound like me.\n\n{draft}",
        "{draft}\n\nRewrite this in my style.",
        "This is too plain. Rewrite it the way I write.\n\n{draft}",
    ),
    continuation=(
        "Continue this:\n\n{beginning}",
        "Continue from here.\n\n{beginning}",
        "{beginning}\n\nWhat comes next?",
        "Here's how it begins. Keep going.\n\n{beginning}",
        "Carry on with this text for about {words} words:\n\n{beginning}",
        "Write what follows:\n\n{beginning}",
    ),
)
GERMAN = Wordings(
    brief=(
        "{brief}",
        "Schreib das für mich: {brief}",
        "Schreiben Sie einen Text nach dieser Vorgabe.\n\n{brief}",
        "Schreib etwa {words} Wörter.\n\n{brief}",
        "Das brauche ich: {brief}",
        "Bitte formuliere diese Stelle aus: {brief}",
    ),
    keywords=(
        "Schreib einen Text über {keywords}.",
        "Schreiben Sie eine Passage, in der das vorkommt: {keywords}.",
        "Schreib etwa {words} Wörter zu {keywords}.",
        "Stichwörter: {keywords}. Schreib daraus eine Passage.",
        "Mach aus diesen Notizen einen Text: {keywords}.",
        "Bitte schreib etwas über {keywords}.",
    ),
    draft=(
        "Schreib das so um, wie ich es schreiben würde:\n\n{draft}",
        "Formuliere das in meinem Ton.\n\n{draft}",
        "Schreiben Sie den folgenden Text in meinem Stil um.\n\n{draft}",
        "Hier ist ein Entwurf. Lass ihn nach mir klingen.\n\n{draft}",
        "{draft}\n\nSchreib das in meinem Stil um.",
        "Das ist zu nüchtern. Schreib es um, wie ich schreibe.\n\n{draft}",
    ),
    continuation=(
        "Schreib weiter:\n\n{beginning}",
        "Mach hier weiter.\n\n{beginning}",
        "{beginning}\n\nWie geht es weiter?",
        "So fängt es an. Führ es fort.\n\n{beginning}",
        "Führen Sie diesen Text mit etwa {words} Wörtern fort:\n\n{beginning}",
        "Schreib, was darauf folgt:\n\n{beginning}",
    ),
)
VARIANTS = 6  # of each prompt in each language
ROUND_TO_WORDS = 50


def wordings(language: str) -> Wordings:
    """Return the prompts for a language (ISO 639-1): German for German, else English."""
    return GERMAN if language == "de" else ENGLISH


def fill(template: str, *, words: int, **text: str) -> str:
    """Return a prompt. Braces in the inserted text stay as they are."""
    rounded = max(ROUND_TO_WORDS, (words + ROUND_TO_WORDS // 2) // ROUND_TO_WORDS * ROUND_TO_WORDS)
    return template.format(words=rounded, **text)


def join_keywords(keywords: tuple[str, ...], language: str) -> str:
    """Return keywords as a list in a sentence: "rain, platform and train"."""
    if len(keywords) < 2:
        return "".join(keywords)
    conjunction = "und" if wordings(language) is GERMAN else "and"
    return f"{', '.join(keywords[:-1])} {conjunction} {keywords[-1]}"


class Task(StrEnum):
    """What an example asks for."""

    BRIEF = "brief"  # a brief, or keywords in its place → the passage
    DRAFT = "draft"  # the passage in neutral words → the passage
    CONTINUATION = "continuation"  # its beginning → its rest
    INSTRUCTION = "instruction"  # an everyday request → what the base model answers


@dataclass(frozen=True)
class TaskMix:
    """For how many percent of the passages each task makes an example.

    If they add up to 100, each passage is used once. Beyond that, some are used for two or three tasks, never
    twice for the same.
    """

    brief_percent: int = 60
    draft_percent: int = 20
    continuation_percent: int = 20

    def __post_init__(self) -> None:
        percents = self.by_task().values()
        if not all(0 <= percent <= 100 for percent in percents) or not any(percents):
            raise ValueError("each percentage is between 0 and 100, and one is not 0")

    def by_task(self) -> dict[Task, int]:
        """Return the percentage of each task."""
        return {
            Task.BRIEF: self.brief_percent,
            Task.DRAFT: self.draft_percent,
            Task.CONTINUATION: self.continuation_percent,
        }


@dataclass(frozen=True)
class ExamplePlan:
    """What will be asked for, with which wording. `keywords` are there for when no brief comes."""

    passage: Passage
    task: Task
    template: int
    keywords: tuple[str, ...]
    held_out: bool

    @property
    def id(self) -> str:
        """The same for the same passage and task, whatever the seed: a brief is kept by it."""
        return f"{self.passage.id}-{self.task}"


@dataclass(frozen=True)
class Example:
    """A prompt and its answer. `task` is what it became: a draft that is missing makes a continuation."""

    prompt: str
    response: str
    task: Task
    passage_id: str  # "" for an instruction
    held_out: bool

    @property
    def words(self) -> int:
        """The words of prompt and response together."""
        return count_words(self.prompt) + count_words(self.response)

    def as_chat(self) -> dict[str, object]:
        """Return the example as a conversation of two messages."""
        messages = [
            {"role": "user", "content": self.prompt},
            {"role": "assistant", "content": self.response},
        ]
        return {"messages": messages, "task": str(self.task)}


@dataclass(frozen=True)
class Examples:
    """What is learned, and the same of held-out passages to validate it."""

    learned: tuple[Example, ...]
    validation: tuple[Example, ...]


def plan_examples(
    corpus: Corpus, *, seed: int, mix: TaskMix = TaskMix(), keeps_names: bool = False
) -> tuple[ExamplePlan, ...]:
    """Return a plan for each example, in the order in which they are learned; held-out ones come last.

    The passages of those that are learned have other names, unless they only check what a style has learned.
    """
    index = KeywordIndex((*corpus.learned, *corpus.held_out))
    learned = _plan_side(corpus.learned, index, seed=seed, mix=mix, held_out=False)
    held_out = _plan_side(corpus.held_out, index, seed=seed, mix=mix, held_out=True)
    if not keeps_names:
        cast = Cast(corpus.learned, index.names)
        learned = [replace(plan, passage=cast.rename(plan.passage)) for plan in learned]
    return (*learned, *held_out)


def make_examples(
    plans: Sequence[ExamplePlan], answers: Mapping[str, str], instructions: Sequence[Instruction] = ()
) -> Examples:
    """Return all examples of a corpus. `answers` are the base model's: id of a plan or instruction → text.

    The same plans and answers always give the same examples. Instructions come last: a training shuffles.
    """
    examples = [complete(plan, answers) for plan in plans]
    for instruction, answer in usable_answers(instructions, answers):
        examples.append(Example(instruction.prompt, answer, Task.INSTRUCTION, "", held_out=False))
    return Examples(
        learned=tuple(example for example in examples if not example.held_out),
        validation=tuple(example for example in examples if example.held_out),
    )


def complete(plan: ExamplePlan, answers: Mapping[str, str]) -> Example:
    """Return the example of a plan. `answers` are the writer's, by id; a draft has one for each part.

    Without a usable brief the keywords stand in for it; without a usable draft the passage is continued. A
    draft of some parts makes an example of these.
    """
    text, language = plan.passage.text, plan.passage.language
    if plan.task is Task.BRIEF:
        return _ask_for_passage(plan, usable_brief(answers.get(plan.id), text))
    if plan.task is Task.DRAFT:
        parts = [text[start:end] for start, end in cut_parts(text)]
        drafts = [usable_draft(answers.get(draft_id(part)), part, language) for part in parts]
        pair = join_parts(text, drafts)
        if pair and not shares_shingle(*pair):
            draft, response = pair
            template = wordings(language).draft[plan.template]
            return _example(plan, Task.DRAFT, template, response=response, draft=draft)
    return _continue_passage(plan)


def make_held_out_briefs(corpus: Corpus, answers: Mapping[str, str], *, seed: int) -> list[Example]:
    """Return a brief for each held-out passage: the style answers them when it is evaluated."""
    index = KeywordIndex((*corpus.learned, *corpus.held_out))
    only_briefs = TaskMix(brief_percent=100, draft_percent=0, continuation_percent=0)
    planned = _plan_side(corpus.held_out, index, seed=seed, mix=only_briefs, held_out=True)
    briefs = [complete(plan, answers) for plan in planned]
    return [brief for brief in briefs if brief.task is Task.BRIEF]


def as_jsonl(examples: Sequence[Example]) -> bytes:
    """Return one JSON object per line, in UTF-8: messages as in OpenAI's fine-tuning files, and the task."""
    lines = [json.dumps(example.as_chat(), ensure_ascii=False) + "\n" for example in examples]
    return "".join(lines).encode()


def _plan_side(
    passages: Sequence[Passage], index: KeywordIndex, *, seed: int, mix: TaskMix, held_out: bool
) -> list[ExamplePlan]:
    """Plan the examples of one side.

    Passages are drawn into a circle, and each task takes the next of them: so shares are exact, and nobody is
    asked the same twice.
    """
    circle = sorted(passages, key=lambda passage: draw(seed, passage.id))
    plans = []
    first = 0
    taken_percent = 0
    for task, percent in mix.by_task().items():
        taken_percent += percent
        end = (len(circle) * taken_percent + 50) // 100
        for position in range(first, end):
            plans.append(_plan(circle[position % len(circle)], task, index, seed=seed, held_out=held_out))
        first = end
    plans.sort(key=lambda plan: draw(seed, plan.id))
    return plans


def _plan(passage: Passage, task: Task, index: KeywordIndex, *, seed: int, held_out: bool) -> ExamplePlan:
    template = int.from_bytes(draw(seed, f"{passage.id}-{task}-template")[:4]) % VARIANTS
    keywords = index.find_keywords(passage) if task is Task.BRIEF else ()
    return ExamplePlan(passage, task, template, keywords, held_out)


def _ask_for_passage(plan: ExamplePlan, brief: str | None) -> Example:
    prompts = wordings(plan.passage.language)
    if brief is not None:
        return _example(plan, Task.BRIEF, prompts.brief[plan.template], brief=brief)
    if not plan.keywords:
        return _continue_passage(plan)
    keywords = join_keywords(plan.keywords, plan.passage.language)
    if shares_shingle(keywords, plan.passage.text):
        # The passage is itself a list. Five words in a row are no quotation.
        keywords = join_keywords(plan.keywords[:LEAST_KEYWORDS], plan.passage.language)
    return _example(plan, Task.BRIEF, prompts.keywords[plan.template], keywords=keywords)


def _continue_passage(plan: ExamplePlan) -> Example:
    beginning, rest = split_beginning(plan.passage.text)
    template = wordings(plan.passage.language).continuation[plan.template]
    return _example(plan, Task.CONTINUATION, template, response=rest, beginning=beginning)


def _example(plan: ExamplePlan, task: Task, template: str, *, response: str = "", **text: str) -> Example:
    answer = response or plan.passage.text
    prompt = fill(template, words=count_words(answer), **text)
    return Example(
        prompt=prompt, response=answer, task=task, passage_id=plan.passage.id, held_out=plan.held_out
    )
