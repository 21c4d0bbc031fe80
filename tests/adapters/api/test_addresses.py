"""How a style is named in an address: as in `model`, by `owner/slug`, or by its id."""

import pytest

from adapters.api.addresses import BELOW_A_STYLE
from adapters.api.urls import STYLE, urlpatterns
from adapters.catalog import sharing
from adapters.models import Selection
from tests.adapters.builders import known
from tests.tenants.api.builders import problem

pytestmark = pytest.mark.django_db


def test_an_own_style_is_named_by_its_slug_as_in_model(program, noir):
    named = [program.get(f"styles/{name}").json() for name in ("noir", "acme/noir", noir.pk)]
    assert named[0]["id"] == str(noir.pk)
    assert named[0] == named[1] == named[2]
    assert program.get("styles/noir/versions").json()["data"][0]["style"] == str(noir.pk)
    assert program.get("styles/noir/versions/1").json()["number"] == 1
    assert program.get("styles/noir/versions/1/report").status_code == 200
    assert program.patch("styles/noir", {"description": "Rain."}).json()["description"] == "Rain."
    assert program.get("styles/noir/shares").json()["data"] == []


def test_a_style_of_the_first_party_is_named_by_its_slug_selected_or_not(program, acme, poetry):
    assert program.get("styles/poetry").json()["model"] == "poetry"
    assert program.request("put", "styles/poetry/selection").json()["is_selected"]
    assert Selection.objects.get(tenant=acme).style == poetry
    assert program.delete("styles/poetry/selection").status_code == 204
    assert not Selection.objects.filter(tenant=acme).exists()


def test_an_own_style_goes_before_one_of_the_first_party(program, acme, engine, poetry):
    own = known(acme, "poetry", engine).style
    assert program.get("styles/poetry").json()["id"] == str(own.pk)
    assert program.get("styles/polyscribe/poetry").json()["id"] == str(poetry.pk)


def test_another_workspaces_slug_alone_names_nothing(stranger, noir):
    sharing.set_public(noir)
    assert stranger.get("styles/acme/noir").status_code == 200
    problem(stranger.get("styles/noir"), 404, "style_not_found")


def test_of_a_public_style_only_its_owner_sees_the_versions_and_others_are_told_so(program, stranger, noir):
    problem(stranger.get("styles/acme/noir/versions"), 404, "style_not_found")  # it is private
    sharing.set_public(noir)
    for method, below in (("get", "/versions"), ("get", "/versions/1"), ("patch", ""), ("get", "/shares")):
        said = problem(stranger.request(method, f"styles/acme/noir{below}"), 404, "not_your_style")["detail"]
        assert "Only its owner can see its versions" in said
    assert program.get("styles/acme/noir/versions").status_code == 200


def test_a_wrong_name_is_told_what_is_right(program, noir):
    for name in ("nior", "acme/nior", "noir@1", "Noir", "a b", "%00", "acme/%00", "no%C3%AFr", 300 * "x"):
        for method, below in (("get", ""), ("get", "/versions"), ("put", "/selection")):
            answer = program.request(method, f"styles/{name}{below}")
            said = problem(answer, 404, "style_not_found")["detail"]
            assert "as in `model`" in said, name
            assert "`acme/brand-voice`" in said, name


def test_what_is_below_a_style_is_never_read_as_a_style(program, acme, engine):
    """`styles/acme/versions` is the versions of the own style `acme`, not a style `versions` of Acme's."""
    own = known(acme, "acme", engine).style
    odd = known(acme, "versions", engine).style
    assert program.get("styles/acme/versions").json()["data"][0]["style"] == str(own.pk)
    assert program.get("styles/versions").json()["id"] == str(odd.pk)
    assert program.get("styles/versions/versions").json()["data"][0]["style"] == str(odd.pk)


def test_the_words_below_a_style_are_those_of_the_addresses():
    routes = [str(entry.pattern) for entry in urlpatterns]
    below = {route.removeprefix(f"{STYLE}/").partition("/")[0] for route in routes if f"{STYLE}/" in route}
    assert below == set(BELOW_A_STYLE)
