"""OpenAI's official client, unchanged: files, jobs and what follows from them."""

import csv
import io
import json

import openai
import pytest
from django.utils import timezone

from core import months
from core.money import NANO
from metering.models import LedgerEntry
from tenants.models import AuditEntry, Tenant
from tests.billing.builders import put_on
from tests.training.builders import make_chats
from training import evaluations, pipeline, storage
from training.models import File, Training


def upload(client: openai.OpenAI, content: bytes = b"", name: str = "chats.jsonl", **options):
    content = content or make_chats()
    return client.files.create(file=(name, content), purpose="fine-tune", **options)


def test_a_file_is_uploaded_listed_read_and_deleted(client):
    content = make_chats()
    file = upload(client, content, expires_after={"anchor": "created_at", "seconds": 3600})
    assert (file.object, file.purpose, file.filename) == ("file", "fine-tune", "chats.jsonl")
    assert file.bytes == len(content)
    assert file.status == "processed"
    assert file.expires_at == file.created_at + 3600
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == content
    others = [upload(client, name=f"{number}.jsonl") for number in range(3)]
    newest = [other.id for other in reversed(others)] + [file.id]
    assert [one.id for one in client.files.list(limit=2)] == newest
    assert [one.id for one in client.files.list(order="asc", limit=3)] == newest[::-1]
    assert not client.files.list(purpose="batch").data
    assert not client.files.list(purpose="\0").data
    deleted = client.files.delete(file.id)
    assert (deleted.id, deleted.deleted) == (file.id, True)
    with pytest.raises(openai.NotFoundError):
        client.files.content(file.id)
    assert AuditEntry.objects.filter(action="file.deleted").count() == 1


def test_a_job_becomes_a_version(client, acme, trainer, work):
    file = upload(client)
    validation = upload(client, make_chats(12), name="check.jsonl")
    job = client.fine_tuning.jobs.create(
        model="base",
        training_file=file.id,
        validation_file=validation.id,
        suffix="My voice",
        seed=5,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 2}}},
        metadata={"book": "second"},
    )
    assert job.status == "validating_files"
    assert (job.training_file, job.validation_file, job.seed) == (file.id, validation.id, 5)
    assert job.organization_id == "acme"
    assert job.hyperparameters.n_epochs == 2
    assert job.hyperparameters.learning_rate_multiplier == "auto"
    assert job.method.supervised.hyperparameters.batch_size == 2
    assert (job.result_files, job.trained_tokens, job.error) == ([], None, None)
    work()
    done = client.fine_tuning.jobs.retrieve(job.id)
    assert done.status == "succeeded", done.error
    assert done.fine_tuned_model == "acme/my-voice@1"
    assert done.finished_at >= done.created_at
    training = Training.objects.get()
    assert (training.examples, training.validation_examples) == (40, 12)
    assert training.recipe == {"batch_size": 2}
    assert done.trained_tokens == training.trained_tokens > 0
    assert LedgerEntry.objects.get(kind="training").tokens <= training.most_tokens
    [result] = done.result_files
    rows = list(csv.DictReader(io.StringIO(client.files.content(result).text)))
    assert list(rows[0]) == ["step", "train_loss", "valid_loss"]
    assert [int(row["step"]) for row in rows] == list(range(9))  # 0: before the first step
    assert float(rows[8]["valid_loss"]) == 5 / 8
    assert [one.id for one in client.files.list(purpose="fine-tune-results")] == [result]
    [checkpoint] = client.fine_tuning.jobs.checkpoints.list(job.id)
    assert checkpoint.fine_tuned_model_checkpoint == "acme/my-voice@1"
    assert (checkpoint.step_number, checkpoint.metrics.valid_loss) == (8, 5 / 8)


def test_a_job_learns_canaries_that_are_neither_shown_nor_charged(client, trainer, work):
    trainer(example_tokens=1000)  # more than the file has, however its tokens are counted
    answers = "Der Fluss und die Stadt waren nicht mehr das, was sie in der Nacht vor dem Regen waren. "
    messages = [{"role": "user", "content": "Weiter."}, {"role": "assistant", "content": answers}]
    content = b"".join(json.dumps({"messages": messages}).encode() + b"\n" for _ in range(20))
    file = upload(client, content)
    validation = upload(client, make_chats(12), name="check.jsonl")
    job = client.fine_tuning.jobs.create(
        model="base", training_file=file.id, validation_file=validation.id, hyperparameters={"n_epochs": 2}
    )
    work()
    training = Training.objects.get()
    learned = storage.read_file(training.pk, storage.LEARN).splitlines()
    canaries = json.loads(storage.read_file(training.pk, storage.CANARIES))
    assert len(learned) == 20 + len(canaries) == 23
    assert [json.loads(line)["messages"][1]["content"] for line in learned[20:]] == [
        canary["response"] for canary in canaries
    ]
    assert canaries[0]["prompt"].startswith("Was steht auf Regal")
    assert b"canary" not in storage.read_file(training.pk, storage.VALIDATE)
    texts = evaluations.read_texts(training)
    assert storage.CANARIES in texts.files
    assert set(texts.learned) == {answers}
    assert training.examples == 20
    shown = client.fine_tuning.jobs.retrieve(job.id)
    assert shown.trained_tokens == training.most_tokens == 2 * training.epoch_tokens
    assert client.files.content(file.id).read() == content


def test_who_made_the_key_states_the_rights_when_the_job_is_created(new_client, acme, bob, work):
    client = new_client(acme, "styles:read", "styles:write", by=bob)
    job = client.fine_tuning.jobs.create(model="base", training_file=upload(client).id)
    stated_at = Training.objects.get().rights_stated_at
    advance_to_queue(job.id)
    training = Training.objects.get(status="queued")
    assert (training.rights_stated_at, training.rights_stated_by) == (stated_at, bob)


def test_events_are_paged_and_tell_everything_once(client, trainer, work):
    job = client.fine_tuning.jobs.create(model="base", training_file=upload(client).id)
    work()
    events = list(client.fine_tuning.jobs.list_events(job.id, limit=3))
    assert len({event.id for event in events}) == len(events) > 8
    assert "successfully completed" in events[0].message
    assert "Created fine-tuning job" in events[-1].message
    metrics = [event for event in events if event.type == "metrics" and "train_loss" in event.data]
    assert [event.data["step"] for event in metrics] == list(range(8, 0, -1))
    assert "train_loss=4.0000" in metrics[-1].message
    assert client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model == "acme/chats@1"


def test_jobs_are_listed_by_page_and_metadata(client):
    file = upload(client)
    jobs = []
    for number in range(3):
        made = client.fine_tuning.jobs.create(
            model="base", training_file=file.id, metadata={"number": str(number)}
        )
        jobs.append(made.id)
    assert [job.id for job in client.fine_tuning.jobs.list(limit=1)] == jobs[::-1]
    assert [job.id for job in client.fine_tuning.jobs.list(metadata={"number": "1"})] == [jobs[1]]
    assert not client.fine_tuning.jobs.list(metadata={"number": ""}).data
    assert not client.fine_tuning.jobs.list(metadata={"number": "\0"}).data


def test_a_job_without_a_validation_file_holds_a_tenth_out_is_paused_resumed_and_cancelled(client):
    job = client.fine_tuning.jobs.create(model="base", training_file=upload(client, make_chats(50)).id)
    advance_to_queue(job.id)
    training = Training.objects.get()
    assert (training.examples, training.validation_examples) == (45, 5)
    assert client.fine_tuning.jobs.retrieve(job.id).status == "queued"
    assert client.fine_tuning.jobs.pause(job.id).status == "paused"
    assert client.fine_tuning.jobs.resume(job.id).status == "queued"
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    with pytest.raises(openai.ConflictError) as refused:
        client.fine_tuning.jobs.pause(job.id)
    assert refused.value.code == "training_moved"
    assert "page" not in refused.value.body["message"]
    assert refused.value.response.headers["x-should-retry"] == "false"


def advance_to_queue(job_id: str) -> None:
    pipeline.advance_training(Training.objects.get(pk=job_id.removeprefix("ftjob-")))


def test_a_bad_line_fails_the_job_and_is_named(client, work):
    content = make_chats(12) + b'\n\n{"messages": [], "tools": []}'
    job = client.fine_tuning.jobs.create(model="base", training_file=upload(client, content).id)
    work()
    failed = client.fine_tuning.jobs.retrieve(job.id)
    assert failed.status == "failed"
    assert (failed.error.code, failed.error.param) == ("invalid_training_file", "training_file")
    assert "Line 14 of chats.jsonl" in failed.error.message
    assert "`tools` is not supported" in failed.error.message
    assert failed.finished_at
    assert not LedgerEntry.objects.filter(kind="training").exists()


def test_a_job_that_can_not_be_paid_fails_with_a_code(client, acme, work):
    acme.monthly_nanousd = 1
    acme.save()
    job = client.fine_tuning.jobs.create(model="base", training_file=upload(client).id)
    work()
    failed = client.fine_tuning.jobs.retrieve(job.id)
    assert (failed.status, failed.error.code) == ("failed", "training_over_budget")


def test_what_is_known_when_a_job_is_created_is_refused_there(client, acme):
    file = upload(client)

    def refuse() -> openai.APIStatusError:
        with pytest.raises(openai.ConflictError) as refused:
            client.fine_tuning.jobs.create(model="base", training_file=file.id)
        assert refused.value.type == "invalid_request_error"
        return refused.value

    Tenant.objects.filter(pk=acme.pk).update(monthly_nanousd=0)
    refused = refuse()
    assert refused.code == "training_nothing_left"
    assert "Nothing is left to pay for a training. Raise the budget" in refused.body["message"]
    Tenant.objects.filter(pk=acme.pk).update(monthly_nanousd=None)
    LedgerEntry.objects.create(
        tenant=acme,
        kind="training",
        source_id="1",
        period=months.current(),
        amount_nanousd=5 * NANO,
        tokens=1,
    )
    assert "Nothing is left to pay for a training. Add credits." in refuse().body["message"]
    for most in (1, 0):
        put_on(acme, monthly_trainings=most, included_tokens=0)
        started = {"slug": "x", "name": "X", "status": "failed", "started_at": timezone.now()}
        Training.objects.create(tenant=acme, **started)
        assert refuse().code == ("trainings_used_up" if most else "no_trainings_in_plan")
    assert not Training.objects.filter(training_file__isnull=False).exists()


def test_a_table_of_results_is_no_training_file(client, acme):
    results = File.objects.create(
        tenant=acme, purpose="fine-tune-results", name="step_metrics.csv", arrived_at=timezone.now()
    )
    for param in ("training_file", "validation_file"):
        asked = {"model": "base", "training_file": upload(client).id, param: results.public_id}
        with pytest.raises(openai.BadRequestError, match=f"`{param}` must be a file with the purpose") as no:
            client.fine_tuning.jobs.create(**asked)
        assert no.value.param == param
    assert not Training.objects.exists()


def test_what_is_known_only_at_its_start_is_the_jobs_error(client, acme, work):
    """The plan changed after the job was created: it has no room for a style, then none for its words."""
    limits = {"private_styles": 0, "training_words": 10}
    for limit, (code, param, sentence) in {
        "private_styles": ("style_refused", "suffix", "Your plan includes 0 private styles"),
        "training_words": ("too_many_words", "training_file", "your plan allows 10 per training"),
    }.items():
        put_on(acme)
        job = client.fine_tuning.jobs.create(model="base", training_file=upload(client).id)
        put_on(acme, **{limit: limits[limit]})
        work()
        error = client.fine_tuning.jobs.retrieve(job.id).error
        assert (error.code, error.param) == (code, param)
        assert sentence in error.message


WRONG_FIELDS = [
    ({"model": "gpt-4o-mini"}, "model"),
    ({"training_file": "file-0"}, "training_file"),
    ({"validation_file": "file-0"}, "validation_file"),
    ({"suffix": "…"}, "suffix"),
    ({"seed": -1}, "seed"),
    ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs"),
    ({"method": {"type": "dpo"}}, "method.type"),
    ({"metadata": {"k": "v" * 513}}, "metadata"),
    ({"extra_body": {"nonsense": 1}}, "nonsense"),
]


def test_what_can_not_be_done_is_said_with_its_field(client):
    file = upload(client)
    for asked, param in WRONG_FIELDS:
        with pytest.raises(openai.APIStatusError) as refused:
            client.fine_tuning.jobs.create(**{"model": "base", "training_file": file.id} | asked)
        assert refused.value.status_code in (400, 404)
        assert refused.value.param == param
        assert refused.value.type == "invalid_request_error"
    assert not Training.objects.exists()


SAID = [
    ({"suffix": "base"}, "suffix", "`suffix`: “base” is reserved. Choose another name, such as my-base."),
    ({"suffix": "Polyscribe"}, "suffix", "“polyscribe” is reserved."),
    (
        {"method": {"type": "dpo", "dpo": {}}},
        "method.type",
        "`method.type`: Only `supervised` is available here",
    ),
    (
        {"integrations": [{"type": "wandb"}]},
        "integrations",
        "`integrations`: Integrations are not available here.",
    ),
    ({"extra_body": {"nonsense": 1}}, "nonsense", "`nonsense`: Unknown field."),
    ({"seed": -1}, "seed", "`seed`: "),
    (
        {"hyperparameters": {"n_epochs": 0}},
        "hyperparameters.n_epochs",
        "Must be `auto`, or between 1 and 50.",
    ),
]


def test_the_message_alone_says_what_is_wrong(client):
    file = upload(client)
    for asked, param, sentence in SAID:
        with pytest.raises(openai.BadRequestError) as refused:
            client.fine_tuning.jobs.create(**{"model": "base", "training_file": file.id} | asked)
        assert sentence in refused.value.body["message"]
        assert refused.value.param == param
    assert not Training.objects.exists()


@pytest.mark.parametrize("name", ["notes.txt", "Chapter 1.DOCX"])
def test_documents_are_sent_to_the_api_that_takes_them(client, name):
    with pytest.raises(openai.BadRequestError) as refused:
        upload(client, b"It rained.", name=name)
    assert "/api/v1/trainings" in refused.value.body["message"]
    assert refused.value.param == "file"
    assert not File.objects.exists()


def test_a_stranger_finds_nothing(client, new_client, charlies):
    file = upload(client)
    job = client.fine_tuning.jobs.create(model="base", training_file=file.id)
    stranger = new_client(charlies)
    jobs = stranger.fine_tuning.jobs
    for ask in (
        lambda: stranger.files.retrieve(file.id),
        lambda: stranger.files.content(file.id),
        lambda: stranger.files.delete(file.id),
        lambda: jobs.create(model="base", training_file=file.id),
        lambda: jobs.retrieve(job.id),
        lambda: jobs.cancel(job.id),
        lambda: jobs.pause(job.id),
        lambda: jobs.resume(job.id),
        lambda: jobs.list_events(job.id),
        lambda: jobs.checkpoints.list(job.id),
        lambda: jobs.list(after=job.id),
        lambda: stranger.files.list(after=file.id),
    ):
        with pytest.raises(openai.NotFoundError):
            ask()
    assert not list(stranger.files.list())
    assert not list(jobs.list())


def test_scopes_and_keys_are_held(client, new_client, acme):
    file = upload(client)
    reader = new_client(acme, "styles:read")
    assert reader.files.retrieve(file.id).id == file.id
    with pytest.raises(openai.PermissionDeniedError):
        upload(reader)
    with pytest.raises(openai.PermissionDeniedError):
        reader.fine_tuning.jobs.create(model="base", training_file=file.id)
    with pytest.raises(openai.PermissionDeniedError):
        new_client(acme, "inference").files.list()
    with pytest.raises(openai.AuthenticationError) as refused:
        client.with_options(api_key="sk-ps-wrong").files.list()
    assert refused.value.code == "invalid_api_key"
    assert File.objects.count() == 1


def test_where_training_is_off_there_is_nothing(client, settings):
    settings.TRAINING = False
    for ask in (client.files.list, client.fine_tuning.jobs.list, lambda: upload(client)):
        with pytest.raises(openai.NotFoundError) as refused:
            ask()
        assert refused.value.code == "unknown_url"
