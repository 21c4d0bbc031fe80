"""Preparation: corpus, examples and the estimate of a training, from its documents' texts."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

from django.conf import settings
from django.db.models import F, Sum

from adapters.errors import NotStored
from adapters.public import count_base_parameters, write_with_base
from core.messages import Message
from inference.public import count_conversation_tokens
from training import storage
from training.corpus import (
    MOST_ANSWER_TOKENS,
    Corpus,
    CorpusTooSmall,
    ExamplePlan,
    Examples,
    Instruction,
    NothingHeldOut,
    SourceDocument,
    Task,
    as_jsonl,
    build_corpus,
    choose_instructions,
    make_canaries,
    make_examples,
    make_held_out_briefs,
    plan_examples,
    plant_canaries,
    without,
    write_canaries,
    writer_prompts,
)
from training.models import Status, Training
from training.notes import TrainingNote

# Writing: what the served base model writes for a training's examples.
#
# Any base answers the everyday instructions among them, and writes drafts, of which some are dropped. Briefs
# are poor where it is small: below `TRAINING_WRITER_PARAMETERS`, keywords stand in. What was written is
# stored after each batch: a killed worker loses one batch, and examples that are made again, because
# passages were left out, cost nothing.

ANSWERS = "answers.json"  # id of a plan or an instruction → what was written for it
BATCH = 32
MAX_ANSWERS = 2_000  # for one training, which isn't paid for yet
TURN_S = 30  # then the worker takes other work, and the next turn continues


def write_answers(
    training: Training, plans: Sequence[ExamplePlan], instructions: Sequence[Instruction]
) -> dict[str, str] | None:
    """Return what was written for all of them, by their ids; None if there is more to write in another turn.

    Raises StorageUnavailable, EngineUnavailable.
    """
    answered = {instruction.id: instruction.prompt for instruction in instructions}
    prompts = dict(list((answered | _list_prompts(training, plans)).items())[:MAX_ANSWERS])
    answers = _read_answers(training)
    turn_ends_s = time.monotonic() + TURN_S
    while missing := [name for name in prompts if name not in answers]:
        batch = missing[:BATCH]
        for is_instruction in (True, False):
            names = [name for name in batch if (name in answered) == is_instruction]
            if names:
                # A draft has words of its passage, which nothing may penalise.
                written = write_with_base(
                    [prompts[name] for name in names],
                    max_tokens=MOST_ANSWER_TOKENS,
                    keeps_words=not is_instruction,
                )
                answers |= dict(zip(names, written, strict=True))
        storage.write_file(training.pk, ANSWERS, json.dumps(answers, ensure_ascii=False).encode())
        done = len(prompts) - len(missing) + len(batch)
        training.wait(TrainingNote.WRITING(done=done, total=len(prompts)))
        is_preparing = Training.objects.filter(pk=training.pk, status=Status.PREPARING).exists()
        if time.monotonic() > turn_ends_s or not is_preparing:
            return None
    return answers


def _list_prompts(training: Training, plans: Sequence[ExamplePlan]) -> dict[str, str]:
    tasks = {Task.BRIEF, Task.DRAFT}
    if count_base_parameters() < settings.TRAINING_WRITER_PARAMETERS:
        tasks = set() if training.is_evaluation else {Task.DRAFT}
    prompts: dict[str, str] = {}
    for plan in plans:
        if plan.task in tasks:
            prompts |= writer_prompts(plan)
    return prompts


def _read_answers(training: Training) -> dict[str, str]:
    try:
        answers: dict[str, str] = json.loads(storage.read_file(training.pk, ANSWERS))
    except NotStored:
        return {}
    return answers


PASSAGES = "passages.json"
# Tokens a second before anything was measured here: the demo's 135M on a core of a laptop, 7B on a GPU.
FIRST_SPEED = {"cpu": 150.0, "cuda": 2_500.0}
BEFORE_FIRST_STEP = timedelta(seconds=20)  # imports and loading the base


def prepare(training: Training) -> None:
    """Make the examples of a training, and its estimate. Where the base model writes briefs, repeat it.

    Raises StorageUnavailable, EngineUnavailable.
    """
    try:
        corpus = read_corpus(training)
    except CorpusTooSmall as error:
        note = _describe_too_small(training, error)
        training.move(before=Status.PREPARING, after=Status.DRAFT, note=note)
        return
    except NothingHeldOut:
        note = TrainingNote.NOTHING_HELD_OUT()
        training.move(before=Status.PREPARING, after=Status.DRAFT, note=note, left_out_passages=[])
        return
    # An uploaded version may have learned these texts with their names.
    plans = plan_examples(corpus, seed=training.seed, keeps_names=training.is_evaluation)
    language = corpus.report.languages[0][0]
    instructions = choose_instructions(language, examples=len(corpus.learned), seed=training.seed)
    answers = write_answers(training, plans, () if training.is_evaluation else instructions)
    if answers is None:
        return
    examples = make_examples(plans, answers, instructions)
    learned = as_jsonl(examples.learned)
    planted_tokens = 0
    if not training.is_evaluation:
        canaries = make_canaries(f"{training.seed} {corpus.sha256}", language)
        learned = plant_canaries(learned, canaries)
        storage.write_file(training.pk, storage.CANARIES, write_canaries(canaries))
        planted_tokens = sum(_count(canary.prompt, canary.response) for canary in canaries)
    storage.write_file(training.pk, storage.LEARN, learned)
    storage.write_file(training.pk, storage.VALIDATE, as_jsonl(examples.validation))
    briefs = make_held_out_briefs(corpus, answers, seed=training.seed)
    storage.write_file(training.pk, storage.BRIEFS, as_jsonl(briefs))
    storage.write_file(training.pk, PASSAGES, _list_passages(corpus, plans, examples))
    epoch_tokens = _count_tokens(examples) + planted_tokens
    training.move(
        before=Status.PREPARING,
        after=Status.READY,
        report=asdict(corpus.report),
        corpus_sha256=corpus.sha256,
        examples=len(examples.learned),
        validation_examples=len(examples.validation),
        epoch_tokens=epoch_tokens,
        estimated_s=estimate_s(epoch_tokens * training.epochs),
    )


def read_corpus(training: Training) -> Corpus:
    """Return the corpus of a training's texts, less what was left out.

    Raises StorageUnavailable, NotStored, CorpusTooSmall.
    """
    documents = []
    for document in training.documents.learned():
        text = storage.read_text(document)
        source = SourceDocument(
            id=str(document.pk),
            text=text,
            language=document.language,
            quotation_share=document.quotation_share,
        )
        documents.append(source)
    corpus = build_corpus(documents, seed=training.seed)
    return without(corpus, passage_ids=frozenset(training.left_out_passages))


def list_passages(training: Training) -> list[dict[str, str]]:
    """Return the learned passages with their prompts, as people look at them: id, document, prompt, text.

    Raises StorageUnavailable, NotStored.
    """
    passages: list[dict[str, str]] = json.loads(storage.read_file(training.pk, PASSAGES))
    return passages


def estimate_s(tokens: int) -> int:
    """Return about how many seconds a training of so many tokens takes here."""
    return round(BEFORE_FIRST_STEP.total_seconds() + tokens / _tokens_per_s())


def _tokens_per_s() -> float:
    """Return the speed of the last trainings, in tokens a second."""
    measured = Training.objects.filter(
        status=Status.SUCCEEDED, step_seconds__gt=0, steps__gt=0, epoch_tokens__gt=0
    )
    latest = measured.order_by("-ended_at").annotate(
        all_tokens=F("epoch_tokens") * F("epochs"), all_steps_s=F("steps") * F("step_seconds")
    )
    speeds = [tokens / run_s for tokens, run_s in latest.values_list("all_tokens", "all_steps_s")[:5]]
    return sorted(speeds)[len(speeds) // 2] if speeds else FIRST_SPEED[settings.TRAINING_DEVICE]


def _describe_too_small(training: Training, error: CorpusTooSmall) -> Message:
    """Return how many words are missing: of all texts, or of what is in them only once."""
    words = training.documents.learned().aggregate(all=Sum("words", default=0))["all"]
    if words < error.least:
        return TrainingNote.TOO_SHORT(words=words, least=error.least)
    return TrainingNote.TOO_MANY_DUPLICATES(words=words, usable=error.words, least=error.least)


def _count_tokens(examples: Examples) -> int:
    """Return how many tokens the learned examples have, as the base model reads them."""
    tokens = 0
    for example in examples.learned:
        tokens += _count(example.prompt, example.response)
    return tokens


def _count(prompt: str, response: str) -> int:
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
    return count_conversation_tokens(messages)


def _list_passages(corpus: Corpus, plans: Sequence[ExamplePlan], examples: Examples) -> bytes:
    """Return the passages of a corpus as they are learned, with the prompt that each was given, as JSON."""
    prompts = {example.passage_id: example.prompt for example in examples.learned}
    texts = {plan.passage.id: plan.passage.text for plan in plans}
    rows = []
    for passage in corpus.learned:
        prompt = prompts.get(passage.id, "")
        text = texts.get(passage.id, passage.text)
        row = {"id": passage.id, "document": passage.document_id, "prompt": prompt, "text": text}
        rows.append(row)
    return json.dumps(rows, ensure_ascii=False).encode()
