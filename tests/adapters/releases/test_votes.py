"""Blind votes: sides at random, one vote a round, bounded and pruned."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from adapters.errors import (
    AlreadyVoted,
    BadVote,
    NotServing,
    RoundNotFound,
    SameSides,
    StyleNotFound,
    TooManyRounds,
    VersionNotFound,
)
from adapters.models import AdapterVersion, BlindVote, Selection, Status
from adapters.releases import votes
from operations import retention
from tests.adapters.builders import by, known

pytestmark = pytest.mark.django_db(transaction=True)
FIRST, SECOND = "acme/noir@1", "acme/noir@2"


@pytest.fixture
def versions(acme, engine) -> list[AdapterVersion]:
    """Two serving versions of one style, of which the first is live."""
    return [known(acme, "noir", engine, auto_promote=is_first) for is_first in (True, False)]


def test_sides_are_at_random_and_each_side_knows_its_model(acme, alice, versions):
    lefts = set()
    for _ in range(40):
        begun = votes.begin_round(acme, alice, FIRST, SECOND)
        left = votes.find_side_model(acme.pk, alice, begun.pk, "left")
        assert {left, votes.find_side_model(acme.pk, alice, begun.pk, "right")} == {FIRST, SECOND}
        lefts.add(left)
    assert lefts == {FIRST, SECOND}


@pytest.mark.usefixtures("versions")
def test_a_round_takes_one_vote_of_the_person_who_began_it(acme, alice, bob, charlies):
    begun = votes.begin_round(acme, alice, FIRST, SECOND)
    charlie = charlies.memberships.get().user
    for tenant, person in ((acme, bob), (charlies, charlie), (charlies, alice)):
        with pytest.raises(RoundNotFound):
            votes.find_round(tenant.pk, person, begun.pk)
    with pytest.raises(BadVote):
        votes.cast_vote(by(alice), begun, "both")
    votes.cast_vote(by(alice), begun, "tie")
    with pytest.raises(AlreadyVoted):
        votes.cast_vote(by(alice), begun, "left")
    with pytest.raises(AlreadyVoted):
        votes.find_side_model(acme.pk, alice, begun.pk, "left")
    assert BlindVote.objects.get().choice == "tie"


@pytest.mark.usefixtures("versions", "poetry")
def test_a_round_is_of_two_that_the_workspace_can_write_in(acme, alice):
    for first, second, error in (
        (FIRST, FIRST, SameSides),
        ("acme/noir", FIRST, SameSides),
        (FIRST, "acme/none", StyleNotFound),
        (FIRST, "poetry", StyleNotFound),
        (FIRST, "acme/noir@9", VersionNotFound),
        (FIRST, "acme/noir@9999999999999999999", VersionNotFound),
        (FIRST, "acme/noir@\x00", VersionNotFound),
    ):
        with pytest.raises(error):
            votes.begin_round(acme, alice, first, second)


def test_styles_of_others_take_part_without_a_number(acme, alice, versions, poetry):
    Selection.objects.create(tenant=acme, style=poetry)
    begun = votes.begin_round(acme, alice, FIRST, "poetry")
    sides = {votes.find_side_model(acme.pk, alice, begun.pk, side) for side in ("left", "right")}
    assert sides == {FIRST, "poetry"}
    with pytest.raises(VersionNotFound):
        votes.begin_round(acme, alice, FIRST, "poetry@1")
    AdapterVersion.objects.filter(pk=versions[1].pk).update(status=Status.RETIRED)
    with pytest.raises(NotServing):
        votes.begin_round(acme, alice, FIRST, SECOND)


def test_rounds_are_bounded_and_pruned(acme, alice, versions, monkeypatch):
    votes.cast_vote(by(alice), votes.begin_round(acme, alice, FIRST, SECOND), "left")
    votes.begin_round(acme, alice, FIRST, SECOND)
    monkeypatch.setattr(votes, "ROUNDS_A_DAY", 2)
    with pytest.raises(TooManyRounds):
        votes.begin_round(acme, alice, FIRST, SECOND)
    now = timezone.now()
    assert retention.delete_old("BlindVote", now) == 0
    assert retention.delete_old("BlindVote", now + timedelta(hours=25)) == 2


def test_the_versions_tab_leads_to_a_blind_test_with_the_live_one(alice_client, versions):
    tab = alice_client.get(reverse("adapters:style_versions", args=["acme", "noir"])).text
    assert reverse("inference:blind") + "?a=acme%2Fnoir%401&amp;b=acme%2Fnoir%402" in tab


def test_the_page_begins_a_round_and_names_both_after_the_vote(alice_client, acme, versions):
    page = alice_client.get(reverse("inference:blind") + f"?a={FIRST}&b={SECOND}")
    assert (page.context["first"], page.context["second"]) == (FIRST, SECOND)
    sent = {"first": FIRST, "second": SECOND}
    begun = alice_client.post(reverse("inference:begin_round"), sent, content_type="application/json")
    assert begun.json().keys() == {"round"}, "nothing says who is where"
    address = reverse("inference:cast_vote", args=[begun.json()["round"]])
    bad = alice_client.post(address, {"choice": "me"}, content_type="application/json")
    assert (bad.status_code, bad.json()["errors"]) == (
        409,
        {"__all__": ["A vote must be `left`, `right` or `tie`."]},
    )
    named = alice_client.post(address, {"choice": "left"}, content_type="application/json").json()
    assert named["said"] == f"You preferred {named['left']}."
    assert {named["left"], named["right"]} == {"Noir, version 1", "Noir, version 2"}
