"""Writing: what the served base model writes for a training's examples.

Any base answers the everyday instructions among them. Briefs and drafts of passages are poor where it is
small; below `TRAINING_WRITER_PARAMETERS`, keywords and continuations take their place. What was written is
stored after each batch: a killed worker loses one batch, and examples that are made again, because passages
were left out, cost nothing.
"""

import json
import time
from collections.abc import Sequence

from django.conf import settings

from adapters.errors import NotStored
from adapters.public import count_base_parameters, write_with_base
from training import storage
from training.corpus import MOST_ANSWER_TOKENS, ExamplePlan, Instruction, writer_prompt
from training.models import Status, Training
from training.notes import TrainingNote

ANSWERS = "answers.json"  # id of a plan or an instruction → what was written for it
BATCH = 32
MAX_ANSWERS = 2_000  # for one training, which isn't paid for yet
MAX_DRAFT_TOKENS = 768  # a draft of 350 words
TURN_S = 30  # then the worker takes other work, and the next turn continues


def write_answers(
    training: Training, plans: Sequence[ExamplePlan], instructions: Sequence[Instruction]
) -> dict[str, str] | None:
    """Return what was written for all of them, by their ids; None if there is more to write in another turn.

    Raises StorageUnavailable, EngineUnavailable.
    """
    answered = {instruction.id: instruction.prompt for instruction in instructions}
    prompts = dict(list((answered | _list_prompts(plans)).items())[:MAX_ANSWERS])
    answers = _read_answers(training)
    turn_ends_s = time.monotonic() + TURN_S
    while missing := [name for name in prompts if name not in answers]:
        batch = missing[:BATCH]
        max_tokens = MOST_ANSWER_TOKENS if answered.keys() >= set(batch) else MAX_DRAFT_TOKENS
        written = write_with_base([prompts[name] for name in batch], max_tokens=max_tokens)
        answers |= dict(zip(batch, written, strict=True))
        storage.write_file(training.pk, ANSWERS, json.dumps(answers, ensure_ascii=False).encode())
        done = len(prompts) - len(missing) + len(batch)
        training.wait(TrainingNote.WRITING(done=done, total=len(prompts)))
        if time.monotonic() > turn_ends_s or not _is_preparing(training):
            return None
    return answers


def _list_prompts(plans: Sequence[ExamplePlan]) -> dict[str, str]:
    if count_base_parameters() < settings.TRAINING_WRITER_PARAMETERS:
        return {}
    return {plan.id: prompt for plan in plans if (prompt := writer_prompt(plan))}


def _read_answers(training: Training) -> dict[str, str]:
    try:
        answers: dict[str, str] = json.loads(storage.read_file(training.pk, ANSWERS))
    except NotStored:
        return {}
    return answers


def _is_preparing(training: Training) -> bool:
    return Training.objects.filter(pk=training.pk, status=Status.PREPARING).exists()
