"""Examples: what a style is trained on. Most are a prompt and the passage, or its rest, that answers it.

`plan_examples` makes every random choice. A writer, the served base model, may answer plans with a brief or a
draft (`writer_prompts.py`); `make_examples` completes the plans with the answers that there are. What is
learned has other names (`renaming.py`). Some examples are everyday instructions with the base's own answers.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from training.corpus.beginnings import split_beginning
from training.corpus.briefs import usable_brief, usable_draft
from training.corpus.build import Corpus
from training.corpus.instructions import Instruction, usable_answers
from training.corpus.keywords import LEAST_KEYWORDS, KeywordIndex
from training.corpus.passages import Passage
from training.corpus.renaming import Cast
from training.corpus.sampling import draw
from training.corpus.shingles import shares_shingle
from training.corpus.templates import VARIANTS, fill, join_keywords, wordings
from training.text.words import count_words


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
        """The same for the same passage and task, whatever the seed: what is kept of a writer's answers."""
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
    examples = [complete(plan, answers.get(plan.id)) for plan in plans]
    for instruction, answer in usable_answers(instructions, answers):
        examples.append(Example(instruction.prompt, answer, Task.INSTRUCTION, "", held_out=False))
    return Examples(
        learned=tuple(example for example in examples if not example.held_out),
        validation=tuple(example for example in examples if example.held_out),
    )


def complete(plan: ExamplePlan, answer: str | None) -> Example:
    """Return the example of a plan. `answer` is the writer's, or None if there is none.

    Without a usable brief the keywords stand in for it; without a usable draft the passage is continued.
    """
    if plan.task is Task.BRIEF:
        brief = usable_brief(answer, plan.passage.text)
        return _ask_for_passage(plan, brief)
    if plan.task is Task.DRAFT:
        draft = usable_draft(answer, plan.passage.text)
        if draft is not None:
            template = wordings(plan.passage.language).draft[plan.template]
            return _example(plan, Task.DRAFT, template, draft=draft)
    return _continue_passage(plan)


def make_held_out_briefs(corpus: Corpus, answers: Mapping[str, str], *, seed: int) -> list[Example]:
    """Return a brief for each held-out passage: the style answers them when it is evaluated."""
    index = KeywordIndex((*corpus.learned, *corpus.held_out))
    only_briefs = TaskMix(brief_percent=100, draft_percent=0, continuation_percent=0)
    planned = _plan_side(corpus.held_out, index, seed=seed, mix=only_briefs, held_out=True)
    briefs = [complete(plan, answers.get(plan.id)) for plan in planned]
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
