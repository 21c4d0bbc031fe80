"""Evaluations: begun after a training, or for any version with texts of its author."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from adapters.errors import NotStored
from adapters.models import Evaluation
from adapters.models import Status as VersionStatus
from training import storage
from training.corpus import canaries
from training.errors import NotEvaluable
from training.models import Training
from training.preparation import list_passages
from training.text import detect_language

KEPT_PER_VERSION = 3
EVALUABLE = (VersionStatus.VALID, VersionStatus.PUSHING, VersionStatus.SERVING)


@dataclass(frozen=True)
class Brief:
    """A request for a passage, and the passage that the author wrote."""

    prompt: str
    passage: str


@dataclass(frozen=True)
class EvaluationTexts:
    """The texts of an evaluation: what was learned, or may have been, and what wasn't.

    `files` are the stored ones that the child reads, too. `documents` number the document of each learned
    text; a file of conversations has none, so all are of one.
    """

    files: Mapping[str, bytes]
    learned: tuple[str, ...]
    documents: tuple[int, ...]
    held_out: tuple[str, ...]
    briefs: tuple[Brief, ...]
    language: str


def begin_evaluation(training: Training) -> Evaluation:
    """Queue an evaluation with the texts of a training; return the open one if there is one.

    Raises NotEvaluable if the texts or the version are gone.
    """
    version = training.evaluated_version or training.version
    if version is None or version.status not in EVALUABLE or training.documents_gone_at:
        raise NotEvaluable
    with transaction.atomic():
        # Two requests begin one evaluation.
        held = Training.objects.select_for_update(no_key=True).get(pk=training.pk)
        if held.evaluation and held.evaluation.is_open:
            return held.evaluation
        for old in version.evaluations.order_by("-created_at")[KEPT_PER_VERSION - 1 :]:
            old.delete()
        evaluation = Evaluation.objects.create(version=version)
        Training.objects.filter(pk=training.pk).update(evaluation=evaluation)
    return evaluation


def read_texts(training: Training) -> EvaluationTexts:
    """Return a training's texts. Raises StorageUnavailable, NotStored."""
    files = {name: storage.read_file(training.pk, name) for name in (storage.LEARN, storage.VALIDATE)}
    with suppress(NotStored):  # nothing is planted in texts that only check a version
        files[storage.CANARIES] = storage.read_file(training.pk, storage.CANARIES)
    learned = _read_examples(files[storage.LEARN])
    held_out = _read_examples(files[storage.VALIDATE])
    try:
        briefs = _read_examples(storage.read_file(training.pk, storage.BRIEFS))
    except NotStored:  # a file of conversations has its own prompts
        briefs = held_out
    try:
        # In the order of the documents: examples are shuffled, and some are a passage's rest.
        rows = list_passages(training)
    except NotStored:
        rows = [{"document": "", "text": brief.passage} for brief in learned]
    numbers: dict[str, int] = {}
    documents = tuple(numbers.setdefault(row["document"], len(numbers)) for row in rows)
    passages = tuple(row["text"] for row in rows)
    return EvaluationTexts(
        files=files,
        learned=passages,
        documents=documents,
        held_out=tuple(brief.passage for brief in briefs or held_out),
        briefs=briefs or held_out,
        language=detect_language("\n".join(passages)),
    )


def _read_examples(file: bytes) -> tuple[Brief, ...]:
    """Return the last learned answer of each conversation that is an author's, and what it answers."""
    examples = []
    for line in file.splitlines():  # of bytes: a text may have other line separators
        row = json.loads(line)
        if row.get("task") != canaries.TASK:
            examples.append(_read_brief(row["messages"]))
    return tuple(examples)


def _read_brief(messages: list[dict[str, Any]]) -> Brief:
    """Return the last learned answer, and the user's message before it; of a job, any message will do."""
    answer = max(place for place, message in enumerate(messages) if _is_learned(message))
    before = messages[:answer]
    prompt = next((one for one in reversed(before) if one["role"] == "user"), before[-1])
    return Brief(prompt["content"], messages[answer]["content"])


def _is_learned(message: dict[str, Any]) -> bool:
    is_answer = message["role"] == "assistant" and message.get("weight", 1) == 1
    return is_answer and bool(message["content"].strip())
