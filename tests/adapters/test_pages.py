"""The studio's pages of styles: Alice owns Acme, Bob is a member, Charlie is a stranger."""

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from adapters.catalog import sharing
from adapters.errors import EngineUnavailable, Finding
from adapters.models import AdapterVersion, Engine, Selection, Status, Style
from adapters.placement import transitions
from adapters.placement.transitions import VersionNote
from core.messages import Message
from tests.adapters.builders import adapter_files, known
from tests.tenants.builders import owner_of

OWNERS_TABS = ["adapters:style_versions", "adapters:style_sharing", "adapters:style_settings"]
TABS = ["adapters:style", "adapters:style_usage", *OWNERS_TABS]


def test_a_public_style_shows_no_versions_to_others(charlie_client, poetry):
    page = charlie_client.get(reverse("adapters:style", args=["polyscribe", "poetry"]))
    assert page.status_code == 200
    assert "adapters:style_versions" not in page.text
    for tab in OWNERS_TABS:
        assert charlie_client.get(reverse(tab, args=["polyscribe", "poetry"])).status_code == 404
    assert (
        charlie_client.get(reverse("adapters:style_usage", args=["polyscribe", "poetry"])).status_code == 200
    )
    steps = reverse("adapters:steps", args=[poetry.live_version_id])
    assert charlie_client.get(steps).status_code == 404


def test_members_see_their_styles_and_the_public_ones(bob_client, version, poetry):
    page = bob_client.get(reverse("adapters:catalogue"))
    assert [card.model_name for card in page.context["styles"]] == ["acme/noir", "poetry"]
    found = bob_client.get(reverse("adapters:catalogue"), {"q": "nothing like it"})
    assert found.context["styles"] == []
    assert "No matching styles" in found.text


def test_unselecting_what_is_not_there_any_more_takes_its_card_away(charlie_client, charlies, version):
    unselect = reverse("adapters:unselect", args=[version.style_id])
    ended = {"is_public": False}, {"is_public": True, "retired_at": timezone.now()}
    for facts in ended:
        Selection.objects.create(tenant=charlies, style=version.style)
        Style.objects.update(**facts)
        answer = charlie_client.post(unselect, headers={"HX-Request": "true"})
        assert (answer.status_code, answer.content) == (200, b"")
        assert not Selection.objects.exists()


def test_pages_ask_the_same_few_questions_for_many_styles(
    alice_client, acme, engine, poetry, django_assert_max_num_queries
):
    for number in range(12):
        known(acme, f"style-{number}", engine)
    with django_assert_max_num_queries(12):
        alice_client.get(reverse("adapters:catalogue"))
    for _ in range(12):
        known(acme, "style-1", engine, auto_promote=False)
    for tab in TABS:
        with django_assert_max_num_queries(13):
            assert alice_client.get(reverse(tab, args=["acme", "style-1"])).status_code == 200


def test_steps_are_polled_until_the_version_is_final(alice_client, acme, engine):
    version = known(acme, "noir", engine, status=Status.PUSHING)
    steps = reverse("adapters:steps", args=[version.pk])
    version.wait("The engine does not answer.")
    page = alice_client.get(steps)
    assert "The engine does not answer." in page.text
    assert "every 1s" in page.text
    transitions.mark_loaded(version.placements.get(), version.engine_name)
    page = alice_client.get(steps)
    assert "every 1s" not in page.text
    assert page.context["version"].status == Status.SERVING


def test_a_rejected_version_shows_every_reason_with_its_fix(alice_client, acme, engine):
    version = known(acme, "noir", engine, status=Status.REJECTED)
    version.findings = [Finding("bias", {"value": "<all>"})]
    version.save()
    page = alice_client.get(reverse("adapters:style", args=["acme", "noir"])).text
    assert "bias = &lt;all&gt;" in page
    assert "Train with bias = none." in page


def test_what_was_stored_of_a_version_is_read_in_the_readers_language(alice_client, acme, engine):
    known(acme, "noir", engine, status=Status.REJECTED, findings=[Finding("bias", {"value": "<all>"})])
    unavailable = Message.of(EngineUnavailable())
    failed = VersionNote.NO_ENGINE_TAKES_IT(reason=unavailable)
    known(acme, "loud", engine, status=Status.FAILED, failure=failed)
    pages = [reverse("adapters:style", args=["acme", slug]) for slug in ("noir", "loud")]
    german = "".join(alice_client.get(page, headers={"Accept-Language": "de"}).text for page in pages)
    english = "".join(alice_client.get(page).text for page in pages)
    with override("de"):
        read = [Finding("bias", {"value": "&lt;all&gt;"}).sentence, str(failed)]
        assert "antwortet nicht" in read[1]
    assert all(sentence in german and sentence not in english for sentence in read)
    assert "which engines ignore" in english
    assert "which engines ignore" not in german


def test_a_version_is_retired_when_the_styles_name_was_typed(alice_client, version):
    retire = reverse("adapters:retire", args=[version.pk])
    assert "was not retired" in alice_client.post(retire, {"confirm": "noirr"}, follow=True).text
    assert AdapterVersion.objects.get().status == Status.SERVING
    assert "was retired" in alice_client.post(retire, {"confirm": "noir"}, follow=True).text
    assert AdapterVersion.objects.get().status == Status.RETIRED
    assert Style.objects.get().live_version is None


def test_a_style_that_waits_for_its_owner_is_tried_and_made_live_from_its_page(alice_client, acme, engine):
    version = known(acme, "letters", engine, auto_promote=False)
    assert "Not live" in alice_client.get(reverse("adapters:catalogue")).text
    page = alice_client.get(reverse("adapters:style", args=["acme", "letters"])).text
    assert reverse("adapters:promote", args=[version.pk]) in page
    assert "?style=acme/letters%401" in page
    alice_client.post(reverse("adapters:promote", args=[version.pk]))
    page = alice_client.get(reverse("adapters:style", args=["acme", "letters"])).text
    assert reverse("adapters:promote", args=[version.pk]) not in page


def test_retiring_what_others_have_needs_a_second_word(alice_client, acme, engine, charlies, version):
    sharing.share_style(owner_of(version.style.owner), version.style, "charlies-prose")
    page = reverse("adapters:style_versions", args=["acme", "noir"])
    retire = reverse("adapters:retire", args=[version.pk])
    second = known(acme, "noir", engine)
    assert "at_once" not in alice_client.get(page).text, "the first one would answer"
    transitions.retire_version(second)
    assert "1 other workspace loses the style" in alice_client.get(page).text
    assert (
        "Other workspaces use this style (1)"
        in alice_client.post(retire, {"confirm": "noir"}, follow=True).text
    )
    assert AdapterVersion.objects.get(pk=version.pk).status == Status.SERVING
    alice_client.post(retire, {"confirm": "noir", "at_once": "on"})
    assert AdapterVersion.objects.get(pk=version.pk).status == Status.RETIRED


def test_what_is_wrong_with_an_upload_is_said_beside_its_field(alice_client, base_model):
    create = reverse("adapters:create_version")
    files = [{"name": name, "size": len(content)} for name, content in adapter_files().items()]
    body = {"slug": "noir", "name": "Noir", "description": "", "sample_prompt": "", "files": files}
    made = alice_client.post(create, body, content_type="application/json")
    early = alice_client.post(made.json()["finish"], {}, content_type="application/json")
    assert (early.status_code, list(early.json()["errors"])) == (400, ["files"])
    bad = alice_client.post(create, {**body, "slug": "No ir"}, content_type="application/json")
    assert (bad.status_code, list(bad.json()["errors"])) == (400, ["slug"])


def test_what_is_no_upload_request_is_refused(alice_client, base_model):
    for body in (
        b"",
        b"[]",
        b"{}",
        b'{"files": 3}',
        b'{"files": [{"name": "x"}]}',
        b'{"files": [1]}',
        b"\xff",
        b'{"files": [{"name": "noir.zip", "size": 1e999}]}',
        b'{"files": [{"name": "noir.zip", "size": %s}]}' % (b"9" * 400),
        b'{"files": [{"name": "noir.zip", "size": 1}], "slug": "noir", "name": "\\ud800"}',
        b'{"files": [{"name": "\\ud800.zip", "size": 1}], "slug": "noir", "name": "Noir"}',
        b"[" * 200_000,
    ):
        answer = alice_client.post(reverse("adapters:create_version"), body, content_type="application/json")
        assert answer.status_code == 400, body[:80]
        assert answer.json()["errors"]["files"]


def test_no_character_is_too_odd_to_search_for(alice_client, version):
    for page in ("catalogue", "upload"):
        odd = alice_client.get(reverse(f"adapters:{page}"), {"q": "no\0ir", "style": "no\0ir"})
        assert odd.status_code == 200


def test_without_a_base_model_uploads_wait(alice_client):
    body = {"slug": "noir", "files": []}
    answer = alice_client.post(reverse("adapters:create_version"), body, content_type="application/json")
    assert answer.status_code == 503
    assert "registerengine" in answer.json()["errors"]["__all__"][0]


def test_an_operator_sees_and_retires_a_version(operator_client, version, poetry, engine):
    for model, row in (("style", version.style), ("adapterversion", version), ("engine", engine)):
        assert (
            operator_client.get(reverse(f"admin:adapters_{model}_change", args=[row.pk])).status_code == 200
        )
    action = {"action": "retire", "_selected_action": [version.pk], "confirmed": "1", "why": "It swears."}
    operator_client.post(reverse("admin:adapters_adapterversion_changelist"), action)
    version.refresh_from_db()
    assert version.status == Status.RETIRED


def test_an_engine_keeps_its_name_so_that_renaming_makes_no_second_one(operator_client, engine):
    fields = [field for field in Engine._meta.concrete_fields if field.editable]
    facts = {field.name: getattr(engine, field.attname) for field in fields}
    facts |= {"name": "other", "max_loras": 3, "why": "A larger machine"}
    change = reverse("admin:adapters_engine_change", args=[engine.pk])
    assert operator_client.post(change, facts).status_code == 302
    assert [(one.name, one.max_loras) for one in Engine.objects.all()] == [("local", 3)]
