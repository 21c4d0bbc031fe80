"""What may be uploaded under which name, said before a byte is sent."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from adapters.erasure import workflow
from adapters.errors import NotUploaded, UploadEnded, UploadRefused
from adapters.models import AdapterVersion, BaseModel, Engine, Status, Style
from adapters.uploads import pipeline, sessions
from adapters.uploads.upload_request import StyleDescription
from metering.models import PlanVersion
from tenants.models import AuditEntry
from tests.adapters.builders import adapter_files, begin, post, posted
from tests.fakes.vllm_control import BASE

GOOD = {"adapter_config.json": 700, "adapter_model.safetensors": 5_000_000}


def faults(tenant, files=GOOD, **about):
    with pytest.raises(UploadRefused) as refused:
        sessions.begin_upload(
            tenant, None, StyleDescription(**{"slug": "noir", "name": "Noir", **about}), files
        )
    assert not AdapterVersion.objects.exists()
    return refused.value.errors


def test_wrong_files_are_named(acme, base_model):
    for files, sentence in (
        ({}, "adapter_config.json and adapter_model.safetensors missing"),
        ({**GOOD, "adapter_model.safetensors": 1024**3 + 1}, "the limit is 1,024.0 MiB"),
        ({**GOOD, "adapter_config.json": 65_537}, "the limit is 64.0 KiB"),
        ({**GOOD, "adapter_config.json": 0}, "is empty"),
        ({**GOOD, "adapter_config.json": -5}, "is empty"),
        ({**GOOD, "README.md": 10}, "README.md is not supported"),
        ({**GOOD, "../adapter_config.json": 10}, "is not supported"),
        ({"adapter_config.json": 700, "adapter_model.bin": 10}, "adapter_model.bin is a pickle file"),
        ({"adapter_config.json": 700, "WEIGHTS.PT": 10}, "WEIGHTS.PT is a pickle file"),
        ({**GOOD, "more.zip": 10}, "An archive already contains both files"),
        ({"noir.zip": 1056 * 1024**2 + 1}, "the limit is 1,056.0 MiB"),
        ({"noir.tar.gz": 0}, "is empty"),
        ({"noir.tar.bz2": 10}, "noir.tar.bz2 is not supported"),
    ):
        assert sentence in " ".join(faults(acme, files)["files"]), files


def test_a_bad_short_name_is_refused(acme, base_model):
    for slug in ("", "No", "a b", "-a", "a-", "a/b", "ä", "x" * 41, "base"):
        assert faults(acme, slug=slug)["slug"], slug


def test_words_that_look_like_others_are_refused(acme, base_model):
    for field, text in (
        ("name", "Noir\u202etevitceted"),
        ("name", "No\u200bir"),
        ("name", "Polyscribe Official"),
        ("description", "Rain \u2066and\u2069 regret."),
        ("sample_prompt", "Why\u200f?"),
        ("slug", "poly-scribe-news"),
    ):
        assert set(faults(acme, **{field: text})) == {field}, text


def test_joiners_and_breaks_of_lines_are_words_too(acme, base_model):
    about = StyleDescription(
        slug="noir", name="Noir 🕵", description="Rain.\n\u0915\u094d\u200d\u0937 👩\u200d🚀"
    )
    version, _ = sessions.begin_upload(acme, None, about, GOOD)
    assert version.style.description == about.description


def test_an_archive_is_stored_under_a_name_of_ours(acme, base_model):
    version, (form,) = begin(acme, "noir", {"../../etc/My own.TGZ": b"x"})
    assert (version.files, form.file) == ({"adapter.tar.gz": 1}, "adapter.tar.gz")
    assert form.fields["key"] == f"uploads/{version.pk}/adapter.tar.gz"


def test_the_state_of_the_base_is_one_of_a_few(acme, base_model):
    assert faults(acme, stated_quantisation="a bit") == {
        "stated_quantisation": ["Use one of none, 4-bit, 8-bit, other, or leave it empty."]
    }


def test_all_faults_are_returned_at_once(acme, base_model):
    found = faults(acme, {}, slug="A", name="", description="x" * 301)
    assert set(found) == {"slug", "name", "description", "files"}


def test_the_first_partys_slugs_are_reserved(acme, poetry):
    with pytest.raises(UploadRefused) as refused:
        begin(acme, "poetry", {name: b"x" for name in GOOD})
    assert "is reserved" in refused.value.errors["slug"][0]
    version, _ = begin(poetry.owner, "poetry", {name: b"x" for name in GOOD})
    assert (version.number, version.style) == (2, poetry)


def test_the_next_version_keeps_what_is_not_said_anew(acme, base_model):
    begin(acme, "noir", {name: b"x" for name in GOOD})
    version, _ = sessions.begin_upload(acme, None, StyleDescription(slug="noir", description="Rain."), GOOD)
    style = Style.objects.get()
    assert (version.number, style.name, style.description) == (2, "Noir", "Rain.")


def test_a_plan_holds_so_many_private_styles(acme, base_model):
    PlanVersion.objects.update(open_uploads=10)
    for slug in ("a", "b", "c"):  # the free plan holds three
        begin(acme, slug, {name: b"x" for name in GOOD})
    with pytest.raises(UploadRefused) as refused:
        begin(acme, "d", {name: b"x" for name in GOOD})
    assert "Your plan includes 3 private styles" in refused.value.errors["slug"][0]
    assert begin(acme, "c", {name: b"x" for name in GOOD})[0].number == 2
    Style.objects.filter(slug="a").update(retired_at=timezone.now())
    begin(acme, "d", {name: b"x" for name in GOOD})
    with pytest.raises(UploadRefused) as refused:  # a deleted one comes back only where there is room
        begin(acme, "a", {name: b"x" for name in GOOD})
    assert "Your plan includes 3 private styles" in refused.value.errors["slug"][0]


def entries_of(command: str) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(reason=f"manage.py {command}").order_by("pk"))


def test_the_engine_of_the_settings_is_registered_once(base_model, settings, tmp_path):
    (tmp_path / "config.json").write_text(
        '{"model_type": "llama", "num_hidden_layers": 2, "torch_dtype": "bfloat16"}'
    )
    settings.BASE_MODEL_DIR = tmp_path  # no weights in it: an unchanged model is not measured again
    for _ in range(2):
        call_command("registerengine", stdout=StringIO())
    assert Engine.objects.get(name=settings.ENGINE_NAME).base_model.name == BASE
    assert [entry.action for entry in entries_of("registerengine")] == ["engine.registered"]
    settings.ENGINE_MAX_LORAS += 1
    call_command("registerengine", stdout=StringIO())
    changed = entries_of("registerengine")[1]
    assert changed.before == {"max_loras": settings.ENGINE_MAX_LORAS - 1}
    assert changed.after == {"max_loras": settings.ENGINE_MAX_LORAS}
    (tmp_path / "config.json").unlink()
    BaseModel.objects.update(name="another")
    with pytest.raises(CommandError, match="does not contain a base model"):
        call_command("registerengine")


def cancel(version: AdapterVersion) -> None:
    sessions.cancel_upload(AdapterVersion.objects.get(pk=version.pk))


def delete(version: AdapterVersion) -> None:
    workflow.erase_version(AdapterVersion.objects.get(pk=version.pk), None)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (cancel, "The upload was cancelled"),
        (delete, "The version was deleted before its upload was complete."),
    ],
)
def test_an_upload_that_ended_in_another_tab_is_not_finished_and_says_why(
    acme, alice_client, base_model, end, reason
):
    version, _ = posted(acme)
    end(version)
    for _ in range(2):
        answer = alice_client.post(reverse("adapters:finish", args=[version.pk]))
        assert answer.status_code == 409
        [sentence] = answer.json()["errors"]["__all__"]
        assert sentence.startswith(reason)
        assert "Start a new upload with the same files" in sentence
    with pytest.raises(UploadEnded):  # also for who read it before it ended
        sessions.finish_upload(version)
    assert version.status in (Status.REJECTED, Status.RETIRED)
    assert AdapterVersion.objects.get().handed_in_at is None
    assert not AuditEntry.objects.filter(action="upload.finished").exists()


def test_a_version_that_is_deleted_while_its_upload_is_finished_is_not_accepted(
    acme, base_model, monkeypatch
):
    version, _ = begin(acme, "noir", adapter_files())

    def look_while_it_is_deleted(looked_at: AdapterVersion) -> list[str]:
        delete(looked_at)
        return sorted(looked_at.files)

    monkeypatch.setattr(sessions, "missing_files", look_while_it_is_deleted)
    with pytest.raises(UploadEnded):
        sessions.finish_upload(version)
    assert AdapterVersion.objects.get().status == Status.RETIRED


def test_finishing_twice_does_it_once(acme, alice_client, base_model):
    files = adapter_files()
    version, forms = begin(acme, "noir", files)
    finish = reverse("adapters:finish", args=[version.pk])
    with pytest.raises(NotUploaded):
        sessions.finish_upload(version)
    for form in forms:
        post(form, files[form.file])
    answers = [alice_client.post(finish) for _ in range(2)]
    pipeline.advance_version(AdapterVersion.objects.get())  # its posted files are gone
    answers.append(alice_client.post(finish))
    assert {(answer.status_code, answer.json()["page"]) for answer in answers} == {
        (200, "/styles/acme/noir/")
    }
    assert AuditEntry.objects.filter(action="upload.finished").count() == 1
