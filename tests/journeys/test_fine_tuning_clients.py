"""OpenAI's official clients, unchanged, train a style: real storage, workers, trainer and engine."""

import csv
import io
from collections.abc import Iterator
from contextlib import closing

import openai
import pytest
from openai.types.fine_tuning import FineTuningJob

from stack.folders import ROOT
from tests.javascript import run_script
from tests.journeys.conftest import Writer
from tests.training.builders import make_chats
from tests.waiting import eventually

WITHIN_S = 600
POLL_S = 1.0  # the plan's limit of requests per minute
CHATS = 12
STEPS = CHATS + 3  # the canaries are learned with them
PROMPT = [{"role": "user", "content": "Write about the morning."}]


@pytest.fixture(scope="module")
def client(demo: Writer) -> Iterator[openai.OpenAI]:
    """A client as its documentation makes it: retries and timeouts are its own."""
    with closing(openai.OpenAI(base_url=f"{demo.site}/v1", api_key=demo.api_key)) as made:
        yield made


def upload(client: openai.OpenAI, name: str, count: int = CHATS) -> openai.types.FileObject:
    return client.files.create(file=(name, make_chats(count)), purpose="fine-tune")


def await_status(client: openai.OpenAI, job_id: str, *wanted: str) -> FineTuningJob:
    """Return a job once it is where it should be; fail as soon as it has ended elsewhere."""
    ended = {"succeeded", "failed", "cancelled"}
    job = client.fine_tuning.jobs.retrieve(job_id)

    def has_come() -> bool:
        nonlocal job
        job = client.fine_tuning.jobs.retrieve(job_id)
        assert job.status in wanted or job.status not in ended, job.error
        return job.status in wanted

    eventually(has_come, within_s=WITHIN_S, every_s=POLL_S, what=f"the job is {job.status}, not {wanted}")
    return job


def await_step(client: openai.OpenAI, job_id: str) -> None:
    def has_come() -> bool:
        return bool(list_steps(client, job_id))

    eventually(has_come, within_s=WITHIN_S, every_s=POLL_S, what="no step was reported")


def list_steps(client: openai.OpenAI, job_id: str) -> list[int]:
    """Return the steps whose losses were reported, the first one first."""
    events = client.fine_tuning.jobs.list_events(job_id, limit=20)  # some pages
    return [event.data["step"] for event in reversed(list(events)) if "train_loss" in (event.data or {})]


def test_files_are_stored_listed_read_and_deleted(client):
    content = make_chats(CHATS)
    file = upload(client, "kept.jsonl")
    assert (file.bytes, file.filename, file.status) == (len(content), "kept.jsonl", "processed")
    assert client.files.retrieve(file.id) == file
    assert file.id in [one.id for one in client.files.list(limit=2, purpose="fine-tune")]
    assert client.files.content(file.id).read() == content
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_a_paused_job_goes_on_from_its_last_step_and_makes_the_next_version(demo, client):
    name = demo.upload(ROOT / "engine" / "styles" / "legal").model
    suffix = name.rpartition("/")[2]
    jobs = client.fine_tuning.jobs
    job = jobs.create(
        model="base",
        training_file=upload(client, "chats.jsonl").id,
        validation_file=upload(client, "check.jsonl", 2).id,
        suffix=suffix,
        seed=5,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1, "batch_size": 1}}},
        metadata={"journey": suffix},
    )
    assert job.status == "validating_files"
    assert (job.seed, job.metadata) == (5, {"journey": suffix})
    await_step(client, job.id)
    jobs.pause(job.id)
    await_status(client, job.id, "paused")
    assert 0 < len(list_steps(client, job.id)) < CHATS
    assert jobs.resume(job.id).status in ("queued", "running")
    trained = await_status(client, job.id, "succeeded")

    assert list_steps(client, job.id) == list(range(1, STEPS + 1)), "each step once, in order"
    messages = [event.message for event in jobs.list_events(job.id, limit=100)]
    assert messages.count("The job is paused.") == 1
    assert messages.count("Fine-tuning job started.") == 2
    assert "successfully completed" in messages[0]
    assert trained.trained_tokens > CHATS
    assert [found.id for found in jobs.list(metadata={"journey": suffix})] == [job.id]
    assert_losses(client, trained)

    assert trained.fine_tuned_model == f"{name}@2"
    assert client.models.retrieve(f"{name}@2").id == f"{name}@2"
    assert [who_answers(client, model) for model in (name, f"{name}@2")] == [1, 2]
    demo.api.post(f"styles/{name}/versions/2/promote")
    assert who_answers(client, name) == 2


def assert_losses(client: openai.OpenAI, trained: FineTuningJob) -> None:
    """The losses are a file, and the checkpoint that became the model has those of its step."""
    [result] = trained.result_files
    rows = list(csv.DictReader(io.StringIO(client.files.content(result).text)))
    losses = {int(row["step"]): row for row in rows}
    assert list(losses) == list(range(STEPS + 1)), "step 0 is the base model"
    assert float(losses[STEPS]["valid_loss"]) < float(losses[0]["valid_loss"])
    [checkpoint] = client.fine_tuning.jobs.checkpoints.list(trained.id)
    assert checkpoint.fine_tuned_model_checkpoint == trained.fine_tuned_model
    assert checkpoint.metrics.valid_loss == float(losses[checkpoint.step_number]["valid_loss"])


def who_answers(client: openai.OpenAI, model: str) -> int:
    """Return the number of the version that answers for a model."""
    answer = client.chat.completions.with_raw_response.create(model=model, messages=PROMPT, max_tokens=2)
    return int(answer.headers["x-polyscribe-style-version"])


def test_a_running_job_is_cancelled_and_pays_its_steps(client):
    file = upload(client, "long.jsonl", 300)
    job = client.fine_tuning.jobs.create(model="base", training_file=file.id, suffix="river")
    await_step(client, job.id)
    client.fine_tuning.jobs.cancel(job.id)
    cancelled = await_status(client, job.id, "cancelled")
    assert cancelled.trained_tokens > 0
    assert (cancelled.fine_tuned_model, cancelled.result_files) == (None, [])
    with pytest.raises(openai.ConflictError):
        client.fine_tuning.jobs.resume(job.id)


def test_the_javascript_client_does_the_same(demo, javascript):
    (javascript / "chats.jsonl").write_bytes(make_chats())
    addresses = {"OPENAI_BASE_URL": f"{demo.site}/v1", "OPENAI_API_KEY": demo.api_key}
    heard = run_script(javascript, "training.mjs", **addresses)
    assert heard["content"] == heard["file"]["bytes"] == len(make_chats())
    assert heard["job"]["id"] in heard["found"]
    assert heard["cancelled"] == "cancelled"
    assert heard["events"][0] == "The job was cancelled."
    assert heard["refused"] == {"status": 409, "code": "training_moved", "name": "ConflictError"}
