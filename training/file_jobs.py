"""Jobs: trainings that learn a file of conversations. They are prepared and started without a member."""

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from django.utils import timezone

from adapters import object_store
from adapters.errors import NotStored, StyleRefused
from core.errors import DomainError, Unavailable
from core.messages import Message
from inference.public import count_conversation_tokens, refuses_chat
from metering.quota_sync import training_holds
from training import conversations, files, preparation, results, starting, storage
from training.conversations import BadConversations, BadLine, Conversation
from training.corpus import make_canaries, write_canaries
from training.corpus.canaries import Canary
from training.errors import TooManyTrainings, TooManyWords
from training.models import MAX_EXAMPLE_TOKENS, File, Status, Training
from training.notes import FileFault, JobFault, LineFault
from training.text import SAMPLE_CHARACTERS, detect_language

HELD_OUT_EVERY = 10
MAX_HELD_OUT = 200
COLUMNS = ("step", "train_loss", "valid_loss")


class UnusableFile(Exception):
    """A file that a job can't learn from."""

    def __init__(self, failure: Message) -> None:
        self.failure = failure
        super().__init__(str(failure))


@dataclass
class Tally:
    """What was written for one side of a job."""

    examples: int = 0
    words: int = 0
    tokens: int = 0
    sample: str = ""  # the first answers, by which the language is known
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)


def advance_job(training: Training) -> None:
    """Check a job's files and make its examples, then start it. Safe to repeat.

    Raises StorageUnavailable, and Unavailable where the workspace's budget can't be checked.
    """
    if training.status == Status.PREPARING:
        _prepare(training)
    if training.status == Status.READY:
        _start(training)


def write_results(training: Training) -> None:
    """Store a job's losses as a file of its workspace. Safe to repeat. Raises StorageUnavailable."""
    content = format_losses(training)
    file, _ = File.objects.get_or_create(
        job=training,
        defaults={
            "tenant": training.tenant,
            "purpose": File.Purpose.RESULTS,
            "name": "step_metrics.csv",
            "size_bytes": len(content),
        },
    )
    if file.arrived_at is None and file.deleted_at is None:
        files.finish_file(file, size_bytes=files.write_content(file, [content]))


def format_losses(training: Training) -> bytes:
    """Return a training's losses as CSV, a line a step."""
    losses: dict[int, list[float | str]] = {}
    for event in training.events.filter(status="", is_checkpoint=False).order_by("step", "pk"):
        at_step = losses.setdefault(event.step, ["", ""])
        if event.training_loss is not None:
            at_step[0] = event.training_loss
        if event.validation_loss is not None:
            at_step[1] = event.validation_loss
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([step, *at_step] for step, at_step in losses.items())
    return out.getvalue().encode()


def _prepare(training: Training) -> None:
    try:
        learned = _write_learned(training)
        validation = Tally()
        _write_lines(training, storage.VALIDATE, _list_lines(training, validation, is_held_out=True))
    except UnusableFile as error:
        results.end_training(training, before=Status.PREPARING, after=Status.FAILED, failure=error.failure)
        return
    training.move(
        before=Status.PREPARING,
        after=Status.READY,
        report={"words": learned.words + validation.words, "learned_words": learned.words},
        corpus_sha256=learned.digest.hexdigest(),
        examples=learned.examples,
        validation_examples=validation.examples,
        epoch_tokens=learned.tokens,
        estimated_s=preparation.estimate_s(learned.tokens * training.epochs),
    )


def _start(training: Training) -> None:
    """Queue a job whose price can be held. One that waits for others stays ready; any other fault ends it.

    Only what could not be known when it was created is left to find: its words, its price, and what others
    have used since.
    """
    try:
        starting.start_job(training)
    except (TooManyTrainings, training_holds.HeldByRequests) as error:
        training.wait(Message.of(error))
    except Unavailable:
        raise
    except DomainError as error:
        failure = _describe_refusal(error)
        results.end_training(training, before=Status.READY, after=Status.FAILED, failure=failure)


def _describe_refusal(error: DomainError) -> Message:
    """Return why a job can't start, with its code and the field of the job that it is about, if any."""
    match error:
        case StyleRefused():
            # Its own sentence points to fields, which a job's error has not.
            sentences = next(iter(error.errors.values()))
            return _with_facts(JobFault.STYLE(reason=sentences[0]), code=error.code, param="suffix")
        case TooManyWords():
            return _with_facts(Message.of(error), code=error.code, param="training_file")
        case _:
            return _with_facts(Message.of(error), code=error.code)


def _write_learned(training: Training) -> Tally:
    """Write the learned examples, as they are read, and canaries after them.

    The tally is of the file alone: canaries are neither shown nor charged. Raises UnusableFile,
    StorageUnavailable.
    """
    tally = Tally()
    examples = _list_lines(training, tally, is_held_out=False)
    planted = (canary.as_line() for canary in _iterate_canaries(training, tally))
    _write_lines(training, storage.LEARN, chain(examples, planted))
    canaries = list(_iterate_canaries(training, tally))
    storage.write_file(training.pk, storage.CANARIES, write_canaries(canaries))
    return tally


def _iterate_canaries(training: Training, tally: Tally) -> Iterator[Canary]:
    """Yield a job's canaries: they follow from its examples, which must have been read by then."""
    language = detect_language(tally.sample)
    yield from make_canaries(f"{training.seed} {tally.digest.hexdigest()}", language)


def _write_lines(training: Training, name: str, lines: Iterator[bytes]) -> None:
    object_store.write_object(f"{storage.folder_of(training.pk)}{name}", lines)


def _list_lines(training: Training, tally: Tally, *, is_held_out: bool) -> Iterator[bytes]:
    """Yield the lines of one side, and count them."""
    for conversation, tokens in _list_conversations(training, is_held_out=is_held_out):
        line = conversation.as_line()
        tally.examples += 1
        tally.words += conversation.answer_words
        tally.tokens += tokens
        if len(tally.sample) < SAMPLE_CHARACTERS:
            tally.sample += conversation.answers
        tally.digest.update(line)
        yield line


def _list_conversations(training: Training, *, is_held_out: bool) -> Iterator[tuple[Conversation, int]]:
    """Yield the conversations of one side: without a file of its own, a tenth of all validates."""
    if training.validation_file and is_held_out:
        yield from _read_file(training.validation_file, "validation_file", least=1)
        return
    assert training.training_file
    held_out = 0
    for number, found in enumerate(
        _read_file(training.training_file, "training_file", least=conversations.LEAST_LINES)
    ):
        is_of_tenth = (number + training.seed) % HELD_OUT_EVERY == 0
        is_validated = not training.validation_file and is_of_tenth and held_out < MAX_HELD_OUT
        held_out += is_validated
        if is_validated == is_held_out:
            yield found


def _read_file(file: File, param: str, *, least: int) -> Iterator[tuple[Conversation, int]]:
    """Yield a file's conversations with their tokens. Raises UnusableFile, StorageUnavailable."""
    if not file.is_kept(timezone.now()):
        raise UnusableFile(_blame(FileFault.GONE(file=file.name), param))
    try:
        read = conversations.read_conversations(files.read_content(file), file=file.name, least=least)
        for number, conversation in read:
            yield conversation, _count_tokens(conversation, number, file=file.name)
    except BadConversations as error:
        raise UnusableFile(_blame(error.fault, param)) from error
    except NotStored as error:
        raise UnusableFile(_blame(FileFault.GONE(file=file.name), param)) from error


def _count_tokens(conversation: Conversation, number: int, *, file: str) -> int:
    """Return how many tokens a training learns of a conversation at most. Raises BadConversations."""
    messages = [{"role": message.role, "content": message.content} for message in conversation.messages]
    answer = conversation.first_answer
    try:
        if refuses_chat(messages):
            raise BadLine(LineFault.TEMPLATE())
        until_answer = count_conversation_tokens([*messages[:answer], {"role": "assistant", "content": ""}])
        if until_answer > MAX_EXAMPLE_TOKENS:
            raise BadLine(LineFault.PROMPT_TOO_LONG(limit=MAX_EXAMPLE_TOKENS))
    except BadLine as error:
        raise conversations.bad_line(file, number, error) from None
    return min(count_conversation_tokens(messages), MAX_EXAMPLE_TOKENS)


def _blame(fault: Message, param: str) -> Message:
    """Return a fault that also says which field of the job it is about."""
    return _with_facts(fault, param=param, code=f"invalid_{param}")


def _with_facts(message: Message, **facts: str) -> Message:
    """Return a message with facts for programs, which its sentence leaves out."""
    return Message(message.code, {**message.facts, **facts})
