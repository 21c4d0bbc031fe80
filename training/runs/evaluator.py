"""Run the next evaluation: measure in a child process, have the engine answer briefs, recognise the author.

Every step is repeated after a kill: an evaluation takes minutes, so nothing in between is stored.
"""

import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path
from statistics import fmean

import redis
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from adapters import object_store
from adapters.errors import NotStored
from adapters.evidence import (
    CeilingTooLow,
    Figures,
    Learned,
    Models,
    Repeats,
    StyleNotDistinct,
    TooFewTexts,
    UnsupportedLanguage,
    Verifier,
    Voice,
    VoiceUnknown,
    compare_briefs,
    find_models,
    is_loaded,
    place_between,
    train_verifier,
)
from adapters.models import (
    AdapterVersion,
    Evaluation,
    EvaluationFailure,
    EvaluationNote,
    EvaluationStatus,
)
from adapters.models import Status as VersionStatus
from core.errors import Unavailable
from core.lifecycle import LeaseLost
from core.messages import NO_MESSAGE, Message
from core.sentences import sentence_spans
from events.models import EventType
from events.outbox import record_event
from training import evaluations, storage
from training.evaluations import EvaluationTexts
from training.models import Training
from training.results import FILES
from training.runs.child import ChildDied, ChildEvent, ChildSilent, EngineChild, job_folder, model_settings
from training.runs.rewriting import Rewriting, compare_rewrites, rewrite

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)  # the engine's answers take a minute without a sign of life
SAVE_EVERY = timedelta(seconds=2)
ASKED_AFTER = 5  # evaluations whose version may have to be loaded first
RETRY = timedelta(seconds=15)  # while an engine loads the version
MAX_WAIT = timedelta(days=1)  # for an engine that has the version
ROOM_CLAIMED_S = 120  # a training writes its checkpoint and stops; then its worker takes the evaluation
MAX_ATTEMPTS = 3
ANSWERS = 20
# Scores are linear: many short answers say as much as a few long ones. An engine on a CPU writes 30 tokens a
# second with a style.
ANSWER_TOKENS = {"cpu": 64, "cuda": 256}
MEASURED_PERCENT = 80  # of an evaluation's time, by the child
RECOGNIZED_PERCENTILE = 10  # of the author's own passages: nine tenths score better
MAX_PASSAGE_CHARACTERS = 600
SEED = 7
LOADING = (VersionStatus.VALID, VersionStatus.PUSHING)


@dataclass(frozen=True)
class Heard:
    """What was found of a voice; or nothing, and why."""

    voice: Voice | None = None
    verifier: Verifier | None = None
    unknown: str = ""


def claim_room(training: Training) -> bool:
    """Return whether an evaluation waits that an engine can answer, and this training is to stop for it.

    Of several trainings one stops for each evaluation, the first whose turn is over: its worker takes it.
    """
    waiting = Evaluation.objects.waiting().free(timezone.now()).filter(version__status=VersionStatus.SERVING)
    next_ones = waiting.select_related("version__style__base_model").order_by("created_at")[:ASKED_AFTER]
    try:
        return any(is_loaded(one.version) and _claim(one, training) for one in next_ones)
    except redis.RedisError:  # until it is back, nobody stops
        return False


def _claim(evaluation: Evaluation, training: Training) -> bool:
    return bool(cache.add(f"room-for-evaluation:{evaluation.pk}", str(training.pk), ROOM_CLAIMED_S))


def run_next() -> bool:
    """Run the next evaluation until it ends; return False if there is none that can run."""
    now = timezone.now()
    evaluation = Evaluation.objects.waiting().lease_first(now, LEASE)
    if evaluation is None:
        return False
    try:
        _run(evaluation)
    except LeaseLost:
        logger.warning("%s: another worker has taken it", evaluation.pk)
    except Unavailable as error:
        evaluation.attempts = max(0, evaluation.attempts - 1)  # it isn't the evaluation's fault
        _wait_for_engine(evaluation, Message.of(error))
    except NotStored:
        _fail(evaluation, EvaluationFailure.TEXTS_GONE())
    except (ChildDied, ChildSilent) as error:
        logger.warning("evaluation %s: %r", evaluation.pk, error)
        _wait(evaluation, NO_MESSAGE)
    except Exception:
        _wait(evaluation, EvaluationNote.OUR_FAULT())
        raise
    return True


def _run(evaluation: Evaluation) -> None:
    version = AdapterVersion.objects.select_related("style__base_model").get(pk=evaluation.version_id)
    training = Training.objects.filter(evaluation=evaluation).first()
    if version.status in LOADING:
        _wait_for_engine(evaluation, EvaluationNote.LOADING())
    elif version.status != VersionStatus.SERVING:
        _fail(evaluation, EvaluationFailure.NOT_SERVING())
    elif training is None or training.documents_gone_at:
        _fail(evaluation, EvaluationFailure.TEXTS_GONE())
    elif evaluation.attempts >= MAX_ATTEMPTS:
        _fail(evaluation, EvaluationFailure.CRASHED(times=MAX_ATTEMPTS))
    elif not is_loaded(version):
        _wait_for_engine(evaluation, EvaluationNote.LOADING())
    else:
        evaluation.attempts += 1
        _evaluate(evaluation, version, training)


def _evaluate(evaluation: Evaluation, version: AdapterVersion, training: Training) -> None:
    texts = evaluations.read_texts(training)
    _save(evaluation, status=EvaluationStatus.RUNNING, percent=0, note=EvaluationNote.MEASURING())
    briefs = list(islice(cycle(texts.briefs), ANSWERS))
    prompts = [brief.prompt for brief in briefs]
    models = find_models(version)
    # At the same time: a child of one thread and an engine that is at leisure leave each other alone.
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(_answer, models, prompts, texts)
        measured = _measure(evaluation, version, texts)
        _save(evaluation, percent=MEASURED_PERCENT, note=EvaluationNote.WRITING())
        base_answers, style_answers, rewriting = answering.result()
    heard = _hear(texts, base_answers, style_answers)
    figures = Figures(
        learned=_learned_of(measured),
        repeats=_repeats_of(measured),
        voice=heard.voice,
        voice_unknown=heard.unknown,
        briefs=compare_briefs(prompts, style_answers, base_answers, seed=SEED),
        rewrites=compare_rewrites(rewriting, texts.language, heard.verifier),
    )
    samples = []
    for brief, base, style in zip(briefs, base_answers, style_answers, strict=True):
        samples.append({"prompt": brief.prompt, "base": base, "style": style, "writer": brief.passage})
    _succeed(
        evaluation,
        figures,
        samples=samples[: len(texts.briefs)],  # after these, the same requests come again
        passages=_list_passages(measured, texts.files[storage.LEARN]),
        verifier=heard.verifier.to_bytes() if heard.verifier else b"",
    )


def _answer(
    models: Models, prompts: Sequence[str], texts: EvaluationTexts
) -> tuple[list[str], list[str], Rewriting]:
    """Return what the base and the style answer, and what they rewrite. Raises EngineUnavailable."""
    answers = models.answer(prompts, max_tokens=ANSWER_TOKENS[settings.TRAINING_DEVICE])
    return *answers, rewrite(models, texts.held_out, texts.language)


def _measure(evaluation: Evaluation, version: AdapterVersion, texts: EvaluationTexts) -> ChildEvent:
    """Return what the child measured. Raises ChildDied, ChildSilent, LeaseLost, NotStored, Unavailable."""
    with job_folder() as folder:
        _write_folder(folder, version, texts)
        result: ChildEvent | None = None
        percent = 0
        saved_at = timezone.now()
        with EngineChild(settings.TRAINING_EVIDENCE_PROGRAM, folder) as child:
            for event in child.events():
                if event and event["type"] == "end":
                    result = event
                elif event and event["type"] == "error":
                    raise ChildDied(event.get("message", ""))
                elif event:
                    percent = event.get("percent", 0) * MEASURED_PERCENT // 100
                if timezone.now() - saved_at > SAVE_EVERY:
                    _save(evaluation, percent=percent)
                    saved_at = timezone.now()
        if result is None:
            raise ChildDied("it ended without a result")
        return result


def _write_folder(folder: Path, version: AdapterVersion, texts: EvaluationTexts) -> None:
    control = settings.TRAINING_CONTROLS / texts.language
    job = {**model_settings(), "control": str(control) if _is_control(control) else None}
    (folder / "evidence.json").write_text(json.dumps(job))
    for name, content in texts.files.items():
        (folder / name).write_bytes(content)
    (folder / "adapter").mkdir()
    for file in FILES:
        object_store.download(version.pk, file, folder / "adapter" / file)


def _is_control(folder: Path) -> bool:
    """Return whether a folder has a control adapter for the site's base model."""
    try:
        about = json.loads((folder / "control.json").read_bytes())
    except FileNotFoundError:
        return False
    # The same model has its publisher before its name, or not, by where its files come from.
    return bool(about["base"].rpartition("/")[2] == settings.BASE_MODEL.rpartition("/")[2])


def _hear(texts: EvaluationTexts, base: Sequence[str], style: Sequence[str]) -> Heard:
    """Return how near the style's answers are to the author, or why that isn't known."""
    try:
        verifier = train_verifier(texts.learned, texts.language, documents=texts.documents)
        return Heard(_place_answers(verifier, texts, base, style), verifier=verifier)
    except UnsupportedLanguage:
        return Heard(unknown=VoiceUnknown.LANGUAGE)
    except TooFewTexts:
        return Heard(unknown=VoiceUnknown.TOO_LITTLE_TEXT)
    except (StyleNotDistinct, CeilingTooLow):
        return Heard(unknown=VoiceUnknown.NOT_DISTINCT)


def _place_answers(
    verifier: Verifier, texts: EvaluationTexts, base: Sequence[str], style: Sequence[str]
) -> Voice:
    """Return where the style's answers are between the base's and held-out passages, cut to the same length.

    Raises CeilingTooLow.
    """
    words = max(1, round(fmean(len(answer.split()) for answer in style)))
    own = [verifier.score(" ".join(passage.split()[:words])) for passage in texts.held_out]
    base_scores = [verifier.score(answer) for answer in base]
    style_scores = [verifier.score(answer) for answer in style]
    least_own = sorted(own)[len(own) * RECOGNIZED_PERCENTILE // 100]
    place = place_between(style_scores, base_scores, own, seed=SEED)
    return Voice(
        language=texts.language,
        answers=len(style),
        recognized=sum(score >= least_own for score in style_scores),
        floor=fmean(base_scores),
        style=fmean(style_scores),
        ceiling=fmean(own),
        share=place.share,
        low=place.low,
        high=place.high,
        new_text=verifier.new_text_score,
        sentence_words=_mean_sentence([*texts.learned, *texts.held_out]),
    )


def _mean_sentence(passages: Sequence[str]) -> float:
    """Return the words of the author's mean sentence."""
    sentences = sum(len(sentence_spans(passage)) for passage in passages)
    return sum(len(passage.split()) for passage in passages) / sentences


def _learned_of(measured: ChildEvent) -> Learned:
    learned = measured["learned"]
    bits = learned["bits_per_byte"]
    return Learned(
        bytes=sum(learned["bytes"]), base=bits["base"], style=bits["style"], control=bits["control"]
    )


def _repeats_of(measured: ChildEvent) -> Repeats:
    repeats = measured["repeats"]
    return Repeats(
        examples=repeats["examples"],
        repeated=repeats["repeated"],
        least_tokens=repeats["least_tokens"],
        longest_tokens=repeats["longest_tokens"],
        base_longest_tokens=max((run["base_tokens"] for run in repeats["passages"]), default=0),
        exposure_bits=tuple(canary["bits"] for canary in measured["canaries"]),
    )


def _list_passages(measured: ChildEvent, learned: bytes) -> list[str]:
    """Return the passages that the style repeats, as the author wrote them."""
    lines = learned.splitlines()
    passages = []
    for run in measured["repeats"]["passages"]:
        if run["is_repeated"]:
            messages = json.loads(lines[run["line"]])["messages"]
            learned_ones = [one for one in messages if one["role"] == "assistant" and one.get("weight", 1)]
            answers = [one["content"].strip() for one in learned_ones]
            passages.append("".join(answers)[run["first"] : run["end"]][:MAX_PASSAGE_CHARACTERS])
    return passages


def _succeed(evaluation: Evaluation, figures: Figures, **facts: object) -> None:
    """Store the figures, and what follows for sharing. Raises LeaseLost."""
    with transaction.atomic():
        _save(
            evaluation,
            status=EvaluationStatus.SUCCEEDED,
            note=NO_MESSAGE,
            percent=100,
            figures=figures.as_json(),
            ended_at=timezone.now(),
            **facts,
        )
        version = AdapterVersion.objects.filter(pk=evaluation.version_id)
        version.update(share_refusal=figures.share_refusal)
        _record(evaluation, EventType.EVALUATION_SUCCEEDED)


@transaction.atomic
def _fail(evaluation: Evaluation, failure: Message) -> None:
    _save(
        evaluation,
        status=EvaluationStatus.FAILED,
        failure=failure,
        note=NO_MESSAGE,
        ended_at=timezone.now(),
    )
    _record(evaluation, EventType.EVALUATION_FAILED)


def _record(evaluation: Evaluation, event_type: EventType) -> None:
    ended = Evaluation.objects.select_related("version__style__owner").get(pk=evaluation.pk)
    record_event(ended.version.style.owner_id, event_type, ended)


def _wait_for_engine(evaluation: Evaluation, note: Message) -> None:
    if timezone.now() - evaluation.created_at > MAX_WAIT:
        _fail(evaluation, EvaluationFailure.TIMED_OUT())
    else:
        _wait(evaluation, note)


def _wait(evaluation: Evaluation, note: Message) -> None:
    """Let another pass take an evaluation a little later, unless another worker has it."""
    Evaluation.objects.renew(evaluation, RETRY, note=note, attempts=evaluation.attempts)


def _save(evaluation: Evaluation, **changes: object) -> None:
    """Save an evaluation and renew its lease. Raises LeaseLost."""
    if not Evaluation.objects.renew(evaluation, LEASE, attempts=evaluation.attempts, **changes):
        raise LeaseLost
