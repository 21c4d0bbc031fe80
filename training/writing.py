"""Writing: the briefs and drafts that the served base model writes for a training's examples.

Small base models write poor ones; below `TRAINING_WRITER_PARAMETERS`, keywords and continuations take their
place. What was written is stored after each batch: a killed worker loses one batch, and examples that are
made again, because passages were left out, cost nothing.
"""

import json
import time
from collections.abc import Sequence

from django.conf import settings

from adapters.errors import NotStored
from adapters.public import count_base_parameters, write_with_base
from training import storage
from training.corpus import ExamplePlan, writer_prompt
from training.models import Status, Training
from training.notes import TrainingNote

ANSWERS = "answers.json"  # id of a plan → what was written for it
BATCH = 32
MAX_ANSWERS = 2_000  # for one training, which isn't paid for yet
MAX_ANSWER_TOKENS = 768  # a draft of 350 words
TURN_S = 30  # then the worker takes other work, and the next turn continues


def write_answers(training: Training, plans: Sequence[ExamplePlan]) -> dict[str, str] | None:
    """Return what was written for plans, by their ids; None if there is more to write in another turn.

    Raises StorageUnavailable, EngineUnavailable.
    """
    if count_base_parameters() < settings.TRAINING_WRITER_PARAMETERS:
        return {}
    prompts = _list_prompts(plans)
    answers = _read_answers(training)
    turn_ends_s = time.monotonic() + TURN_S
    while missing := [plan_id for plan_id in prompts if plan_id not in answers]:
        batch = missing[:BATCH]
        written = write_with_base([prompts[plan_id] for plan_id in batch], max_tokens=MAX_ANSWER_TOKENS)
        answers |= dict(zip(batch, written, strict=True))
        storage.write_file(training.pk, ANSWERS, json.dumps(answers, ensure_ascii=False).encode())
        done = len(prompts) - len(missing) + len(batch)
        training.wait(TrainingNote.WRITING(done=done, total=len(prompts)))
        if time.monotonic() > turn_ends_s or not _is_preparing(training):
            return None
    return answers


def _list_prompts(plans: Sequence[ExamplePlan]) -> dict[str, str]:
    prompts = {plan.id: prompt for plan in plans if (prompt := writer_prompt(plan))}
    return dict(list(prompts.items())[:MAX_ANSWERS])


def _read_answers(training: Training) -> dict[str, str]:
    try:
        answers: dict[str, str] = json.loads(storage.read_file(training.pk, ANSWERS))
    except NotStored:
        return {}
    return answers


def _is_preparing(training: Training) -> bool:
    return Training.objects.filter(pk=training.pk, status=Status.PREPARING).exists()
