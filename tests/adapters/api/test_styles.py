"""Styles over the management API: Acme owns them, Charlie's Prose is a stranger."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.serializers import DateTimeField

from adapters.api.styles import StyleObject
from adapters.catalog import selection, sharing
from adapters.models import Erasure, Probe, Selection, Share, Style
from adapters.releases import aliases
from metering.models import PlanVersion
from tests.adapters.api.conftest import logged_actions, read_all
from tests.adapters.builders import by, known
from tests.adapters.routes import routes_of
from tests.tenants.api.builders import problem
from tests.tenants.builders import owner_of

pytestmark = pytest.mark.django_db

NEW = {"slug": "brand-voice", "name": "Brand voice", "description": "How we write."}
SAMPLING = {"temperature": 0.6, "top_p": 0.9}
WRONG = {
    "slug": [None, 5, "Brand Voice", "a" * 41, "base", "polyscribe-news"],
    "name": ["", ["x"], "n" * 61, "a\u200bb", "Polyscribe", "a\u0000b", "a\ud800"],
    "author": ["Polyscribe's team", "a" * 101],
    "description": ["d" * 301, "a\u202eb", None],
    "sample_prompt": [{}],
    "licence": ["l" * 4001],
    "temperature": [0, 0.05, 2.1, "warm"],
    "top_p": [0, 1.01],
    "sample": ["mine"],
    "is_public": [True],
}
OWNERS = {  # what is below a style and no other workspace's: path → methods
    "": ["patch", "delete"],
    "/offer": ["post", "delete"],
    "/shares": ["get", "post"],
    "/shares/riverside": ["get"],
    "/versions": ["get"],
    "/versions/1": ["get", "delete"],
    "/versions/1/report": ["get"],
    **{f"/versions/1/{action}": ["post"] for action in ("autofix", "retry", "retire", "promote", "download")},
    "/versions/2/card": ["get"],
    "/rollback": ["post"],
    "/price": ["get", "put"],
    "/votes": ["get", "put"],
    "/canary": ["get", "put", "delete"],
    "/compare": ["get"],
    "/releases": ["get"],
}
OWNERS_ONLY = ("canary", "newest_version", "offer", "test_prompts")


@pytest.fixture
def reviewed(acme, engine) -> Style:
    """A public style of Acme's of which operators have not approved the newest version and words."""
    style = known(acme, "noir", engine).style
    Style.objects.update(description="Approved.", sample="Approved sample.")
    sharing.set_public(Style.objects.get(pk=style.pk))
    selection.describe_style(Style.objects.get(pk=style.pk), name="Win money", description="Unapproved.")
    known(acme, "noir", engine)
    return Style.objects.get(pk=style.pk)


def test_a_style_lives_from_its_making_to_its_end(program, acme, base_model):
    made = program.post("styles", NEW)
    assert made.status_code == 201
    style = made.json()
    assert (style["model"], style["live_version"], style["newest_version"]) == (
        "acme/brand-voice",
        None,
        None,
    )
    by_id = program.get(f"styles/{style['id']}")
    by_name = program.get("styles/acme/brand-voice")
    assert by_id.json() == by_name.json() == style
    assert by_id["ETag"] == by_name["ETag"] == made["ETag"]

    prompts = ["Announce a sale.", "Answer a complaint."]
    body = {"description": "How we write to customers.", "test_prompts": prompts}
    edited = program.patch("styles/acme/brand-voice", body, If_Match=made["ETag"])
    assert edited.json() == style | body
    late = program.patch("styles/acme/brand-voice", {"name": "Late"}, If_Match=made["ETag"])
    problem(late, 412, "precondition_failed")
    assert Style.objects.get().name == "Brand voice"

    path = f"styles/{style['id']}"
    problem(program.request("delete", path, {}, If_Match=made["ETag"]), 412, "precondition_failed")
    deleted = program.request("delete", path, {"at_once": False}, If_Match=edited["ETag"])
    assert (deleted.status_code, deleted.json()) == (202, {"data": []})
    problem(program.get(path), 404, "style_not_found")
    assert program.get("styles").json()["data"] == []
    actions = ["style.created", "style.prompts_set", "style.edited", "style.deleted"]
    assert logged_actions(acme) == actions


def test_a_style_has_the_fields_of_the_document_as_a_serializer_writes_them(
    program, stranger, acme, engine, reviewed
):
    selection.set_test_prompts(owner_of(reviewed.owner), reviewed, ["Why?"])
    aliases.begin_canary(by(), reviewed.versions.get(number=1), 10)
    own = program.get("styles/acme/noir").json()
    assert own["canary"]
    assert own["offer"]["public_since"]
    for shown in (own, stranger.get("styles/acme/noir").json()):
        assert json.loads(json.dumps(StyleObject(shown).data)) == shown
    written = DateTimeField().to_representation(reviewed.created_at)
    assert own["created_at"] == written


def test_an_owner_sets_what_requests_get_that_send_none(program, acme, engine):
    style = known(acme, "noir", engine).style
    shown = program.get("styles/acme/noir").json()
    assert (shown["temperature"], shown["top_p"]) == (0.8, 0.95)
    edited = program.patch("styles/acme/noir", SAMPLING).json()
    assert edited == shown | SAMPLING
    assert SAMPLING.items() <= routes_of(acme.pk)["acme/noir"].items()
    edited = program.patch("styles/acme/noir", {"temperature": None}).json()
    assert edited == shown | {"top_p": 0.9}
    assert "temperature" not in routes_of(acme.pk)["acme/noir"]  # the gateway knows the service's own
    assert logged_actions(acme) == ["style.edited", "style.edited"]
    assert Style.objects.get(pk=style.pk).top_p == 0.9


def test_a_deleted_style_comes_back_with_the_new_words_alone(program, base_model):
    first = program.post("styles", NEW | {"author": "Alice", "temperature": 0.5}).json()
    problem(program.post("styles", NEW), 409, "slug_taken")
    program.delete("styles/acme/brand-voice")
    again = program.post("styles", {"slug": "brand-voice", "name": "Voice"}).json()
    assert again["id"] == first["id"]
    assert (again["name"], again["description"], again["author"]) == ("Voice", "", "")
    assert again["temperature"] == 0.8


def test_a_plan_limits_styles_without_files_too(program, base_model):
    PlanVersion.objects.update(private_styles=1)
    program.post("styles", NEW)
    fault = problem(program.post("styles", NEW | {"slug": "second"}), 400, "style_refused")
    assert fault["errors"][0]["field"] == "slug"
    assert "Your plan includes 1 private styles" in fault["errors"][0]["message"]
    assert Style.objects.count() == 1


def test_without_a_base_model_no_style_can_be_made(program):
    problem(program.post("styles", NEW), 503, "no_base_model")


def test_a_wrong_field_is_named(program, base_model):
    headers = {"Authorization": f"Bearer {program.secret}"}
    for field, values in WRONG.items():
        for value in values:
            body = json.dumps(NEW | {field: value})
            answer = program.client.post(
                "/api/v1/styles", body, content_type="application/json", headers=headers
            )
            assert answer.status_code == 400, (field, value)
            assert field in [fault["field"] for fault in answer.json()["errors"]], value
    assert not Style.objects.exists()


def test_the_same_checks_hold_for_an_edit(program, noir):
    fault = problem(program.patch("styles/acme/noir", {"name": "Polyscribe"}), 400, "style_refused")
    assert fault["errors"][0]["field"] == "name"
    problem(program.patch("styles/acme/noir", {"slug": "other"}), 400, "invalid")
    problem(program.patch("styles/acme/noir", {"test_prompts": ["x"] * 9}), 400, "invalid")
    problem(
        program.patch("styles/acme/noir", {"test_prompts": ["a\nb"] * 4 + ["x\ny\nz\nq\nr\ns\nt"]}),
        400,
        "too_many_prompts",
    )
    assert Style.objects.get().name == "Noir"


def test_author_and_licence_are_fixed_while_the_style_is_offered(program, noir):
    program.patch("styles/acme/noir", {"author": "Alice", "licence": "MIT"})
    assert program.post("styles/acme/noir/offer").json()["offer"]["state"] == "offered"
    same = {"author": "Alice", "licence": "MIT", "description": "New."}
    assert program.patch("styles/acme/noir", same).status_code == 200
    fault = problem(program.patch("styles/acme/noir", {"author": "Bob"}), 400, "style_refused")
    assert "withdraw the offer" in fault["errors"][0]["message"]


def test_a_key_needs_the_scope(with_key, noir):
    reader = with_key("styles:read")
    assert reader.get("styles/acme/noir").status_code == 200
    problem(reader.patch("styles/acme/noir", {}), 403, "insufficient_scope")
    problem(reader.post("styles", NEW), 403, "insufficient_scope")
    problem(reader.request("put", "styles/acme/noir/canary", {}), 403, "insufficient_scope")
    writer = with_key("inference")
    problem(writer.get("styles"), 403, "insufficient_scope")
    problem(writer.get("erasures"), 403, "insufficient_scope")


def test_a_member_reads_and_changes_styles_with_a_session(bob_client, valkey, noir):
    assert bob_client.get("/api/v1/styles/acme/noir").json()["name"] == "Noir"
    answer = bob_client.patch(
        "/api/v1/styles/acme/noir", {"name": "Film noir"}, content_type="application/json"
    )
    assert answer.json()["name"] == "Film noir"


def test_a_strangers_private_style_is_in_no_list(stranger, noir):
    for query in ("", "?kind=own", "?kind=shared", "?kind=public", "?kind=selected", "?search=noir"):
        assert stranger.get(f"styles{query}").json()["data"] == []
    problem(stranger.get("styles/acme/noir"), 404, "style_not_found")
    problem(stranger.get("styles/acme/nothing"), 404, "style_not_found")


def test_of_a_public_style_others_read_what_was_approved_and_nothing_else(program, stranger, reviewed):
    own = program.get("styles/acme/noir").json()
    assert (own["name"], own["live_version"], own["newest_version"]["number"]) == ("Win money", 2, 2)
    assert own["offer"]["waiting_version"] == 2
    assert own["offer"]["waiting_words"] == ["description", "name"]

    seen = stranger.get("styles/acme/noir").json()
    assert (seen["name"], seen["description"], seen["live_version"]) == ("Noir", "Approved.", 1)
    assert seen["sample"] == ""  # nobody asked the approved version for one
    assert [seen[name] for name in OWNERS_ONLY] == [None] * len(OWNERS_ONLY)
    assert stranger.get("styles?kind=public").json()["data"] == [seen]
    assert stranger.get("styles?search=money").json()["data"] == []
    assert stranger.get("styles?search=approved.").json()["data"] == [seen]
    assert "Unapproved" not in stranger.get("styles").text


def test_what_is_the_owners_of_a_public_style_is_not_there_for_others(stranger, reviewed):
    for path, methods in OWNERS.items():
        for method in methods:
            answer = stranger.request(method, f"styles/{reviewed.pk}{path}", None if method == "get" else {})
            assert answer.status_code == 404, (method, path)
            assert answer["Content-Type"] == "application/problem+json"
    after = Style.objects.get(pk=reviewed.pk)
    assert (after.name, after.retired_at, after.live_version.number) == ("Win money", None, 2)


def test_others_see_the_card_of_the_approved_version_without_the_owners_prompts(program, stranger, reviewed):
    prompts = ("Why?", "How?", "Secret?")
    samples = [{"prompt": prompt, "base": "So.", "style": "Thus."} for prompt in prompts]
    for version in reviewed.versions.all():
        shifts = [{"prompt": "Why?", "shift": 0.5}]
        Probe.objects.create(version=version, strength=0.5, noise=0, shifts=shifts, samples=samples)
    seen = stranger.get("styles/acme/noir/versions/1/card").json()
    assert (seen["version"], seen["effect"]) == (1, "strong")
    assert [sample["prompt"] for sample in seen["samples"]] == ["Why?", "How?"]
    problem(stranger.get("styles/acme/noir/versions/2/card"), 404, "version_not_found")
    own = program.get("styles/acme/noir/versions/2/card").json()
    assert [sample["prompt"] for sample in own["samples"]] == list(prompts)
    assert own["shifts"] == [{"prompt": "Why?", "shift": 0.5}]
    assert stranger.get("styles/acme/noir").json()["effects"] == ["strong effect"]


@pytest.fixture
def shared(charlies, engine, acme) -> Style:
    """A style of Charlie's that Acme has by a share, beside one that it has not."""
    known(charlies, "secret", engine)
    ode = known(charlies, "ode", engine).style
    sharing.share_style(owner_of(ode.owner), ode, "acme")
    return ode


def test_lists_by_kind(program, poetry, noir, shared):
    program.request("put", f"styles/{poetry.pk}/selection")

    def models(query: str) -> list[str]:
        return [style["model"] for style in program.get(f"styles?order=name&{query}").json()["data"]]

    assert models("") == ["acme/noir", "charlies-prose/ode", "poetry"]
    assert models("kind=own") == ["acme/noir"]
    assert models("kind=shared") == ["charlies-prose/ode"]
    assert models("kind=public") == models("kind=selected") == ["poetry"]
    assert models("search=charlie") == ["charlies-prose/ode"]
    problem(program.get("styles?kind=all"), 400, "invalid")
    problem(program.get("styles?order=size"), 400, "invalid")
    problem(program.get("styles?page=2"), 400, "invalid")
    problem(program.get(f"styles?search={'x' * 101}"), 400, "invalid")
    Share.objects.update(ends_at=timezone.now() - timedelta(seconds=1))
    assert models("kind=shared") == []


def test_selecting_and_unselecting(program, acme, poetry):
    selection = "styles/polyscribe/poetry/selection"
    assert program.request("put", selection).json()["is_selected"]
    assert program.request("put", selection).status_code == 200
    assert Selection.objects.get().tenant == acme
    assert program.delete(selection).status_code == 204
    assert program.delete(selection).status_code == 204
    assert not Selection.objects.exists()
    actions = logged_actions(acme)
    assert actions[-1] == "style.unselected"
    assert actions.count("style.unselected") == 1


def test_a_selection_of_what_is_not_there_any_more_can_be_taken_back(program, acme, charlies, engine):
    ode = known(charlies, "ode", engine).style
    problem(program.request("put", f"styles/{ode.pk}/selection"), 404, "style_not_found")
    problem(program.delete(f"styles/{ode.pk}/selection"), 404, "style_not_found")
    Selection.objects.create(tenant=acme, style=ode)
    assert program.delete(f"styles/{ode.pk}/selection").status_code == 204
    assert not Selection.objects.exists()


def test_a_style_is_offered_withdrawn_taken_back_and_kept(program, acme, noir):
    offer = "styles/acme/noir/offer"
    Style.objects.update(author="", licence="")
    problem(program.post(offer), 400, "without_terms")
    program.patch("styles/acme/noir", {"author": "Alice", "licence": "CC BY 4.0"})
    assert program.post(offer).json()["offer"]["state"] == "offered"
    assert program.delete(offer).json()["offer"]["state"] == "none"
    problem(program.delete(offer), 409, "sharing_moved")
    sharing.set_public(Style.objects.get())
    leaving = program.delete(offer).json()
    assert leaving["offer"]["state"] == "leaving"
    assert leaving["is_public"]
    assert program.post(offer).json()["offer"]["state"] == "public"
    assert logged_actions(acme)[1:] == [
        "style.offered",
        "style.offer_withdrawn",
        "style.taken_back",
        "style.kept_public",
    ]


def test_what_others_have_is_deleted_only_at_once(program, acme, charlies, engine, noir):
    sharing.share_style(owner_of(noir.owner), noir, "charlies-prose")
    known(acme, "noir", engine)
    problem(program.delete("styles/acme/noir"), 409, "still_used")
    assert not Erasure.objects.exists()
    problem(program.request("delete", "styles/acme/noir", {"at_once": "maybe"}), 400, "invalid")
    deleted = program.request("delete", "styles/acme/noir", {"at_once": True})
    assert deleted.status_code == 202
    assert [erasure["version"] for erasure in deleted.json()["data"]] == [1, 2]
    assert not Share.objects.exists()


@pytest.mark.parametrize("order", ["-created_at", "created_at", "name", "-name"])
def test_pages_neither_repeat_nor_lose_a_style_while_some_are_made(program, acme, base_model, order):
    made = []
    for number in range(7):
        name = ("Ode", "Elegy", "Sonnet")[number % 3]
        style = Style.objects.create(owner=acme, slug=f"old-{number}", name=name, base_model=base_model)
        made.append(str(style.pk))
    seen = []
    page = program.get(f"styles?limit=2&order={order}").json()
    while True:
        seen += [style["id"] for style in page["data"]]
        if not page["has_more"]:
            break
        Style.objects.create(owner=acme, slug=f"new-{len(seen)}", name="Haiku", base_model=base_model)
        page = program.get(f"styles?limit=2&order={order}&cursor={page['next_cursor']}").json()
    assert len(seen) == len(set(seen))
    assert set(made) <= set(seen)


def test_names_are_ordered_as_the_caller_reads_them(stranger, reviewed, poetry):
    names = [style["name"] for style in read_all(stranger, "styles?order=name", limit=1)]
    assert names == ["Noir", "Poetry"]


def test_a_cursor_of_another_list_is_refused(program, noir):
    for cursor in ("!!", "cD1ub3QtYS10aW1l", "bz0tMQ==", "cD0lMDA=", "eD0x"):
        problem(program.get(f"styles?cursor={cursor}"), 400, "invalid_cursor")


@pytest.fixture
def many(acme, charlies, engine, poetry) -> None:
    """Styles of every kind: with canaries, shared ones, a public one."""
    for number in range(12):
        known(acme, f"own-{number}", engine)
        if number % 2:
            aliases.begin_canary(by(), known(acme, f"own-{number}", engine, auto_promote=False), 10)
        sharing.share_style(owner_of(charlies), known(charlies, f"ode-{number}", engine).style, "acme")


def test_the_list_asks_as_many_questions_for_many_styles_as_for_few(
    program, many, django_assert_max_num_queries
):
    with django_assert_max_num_queries(12):
        page = program.get("styles?limit=100").json()
    assert len(page["data"]) == 25
    assert sum(style["canary"] is not None for style in page["data"]) == 6
