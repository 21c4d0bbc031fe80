"""Erasures over the management API."""

from uuid import uuid4

import pytest

from adapters.erasure import workflow
from adapters.models import Engine, EngineErasure, Erasure
from tests.adapters.api.conftest import read_all
from tests.adapters.builders import known, twin_of
from tests.tenants.api.builders import problem

pytestmark = pytest.mark.django_db


@pytest.fixture
def erasures(acme, engine) -> list[Erasure]:
    """Two erasures of Acme's, of a style that is deleted by now."""
    style = known(acme, "noir", engine).style
    known(acme, "noir", engine)
    return workflow.erase_style(style, None)


def test_an_erasure_shows_each_step_with_its_proof_after_the_style_is_gone(program, erasures):
    erasure = erasures[0]
    workflow.advance_erasure(erasure)
    shown = program.get(f"erasures/{erasure.version_id}").json()
    assert (shown["style"], shown["version"], shown["is_finished"]) == ("acme/noir", 1, False)
    labels = [step["label"] for step in shown["steps"]]
    assert labels[0] == "Withdrawn"
    assert "Engine local: unloaded" in labels
    assert shown["steps"][0]["state"] in ("done", "current")
    assert "version's record" in shown["stays"]


def test_erasures_are_listed_newest_first_by_style_and_in_few_questions(
    program, acme, engine, erasures, django_assert_max_num_queries
):
    listed = read_all(program, "erasures", limit=1)
    assert [erasure["version"] for erasure in listed] == [2, 1]
    other = known(acme, "ode", engine)
    workflow.erase_version(other, None)
    by_style = program.get(f"erasures?style={other.style_id}").json()["data"]
    assert [erasure["style"] for erasure in by_style] == ["acme/ode"]
    for number in range(5):
        twin = twin_of(
            Engine.objects.get(name="local"), f"twin-{number}", url=f"http://127.0.0.1:{number + 1}"
        )
        for erasure in Erasure.objects.all():
            EngineErasure.objects.create(erasure=erasure, engine=twin.name)
    with django_assert_max_num_queries(9):
        page = program.get("erasures").json()["data"]
    assert len(page) == 3
    assert {len(erasure["steps"]) for erasure in page} == {22}
    problem(program.get("erasures?style=noir"), 400, "invalid")


def test_a_strangers_erasure_is_not_there(program, stranger, erasures):
    assert stranger.get("erasures").json()["data"] == []
    assert stranger.get(f"erasures?style={erasures[0].version.style_id}").json()["data"] == []
    problem(stranger.get(f"erasures/{erasures[0].version_id}"), 404, "erasure_not_found")
    problem(program.get(f"erasures/{uuid4()}"), 404, "erasure_not_found")
