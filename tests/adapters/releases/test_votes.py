"""Blind votes: sides at random, one vote a round, counted, pruned, and asked for before a promotion."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from adapters.errors import (
    AlreadyVoted,
    BadVote,
    NotEnoughVotes,
    NotServing,
    RoundNotFound,
    SameSides,
    StyleNotFound,
    TooManyRounds,
    VersionNotFound,
)
from adapters.models import AdapterVersion, BlindVote, Selection, Status, Style
from adapters.releases import aliases, votes
from operations import retention
from tests.adapters.builders import known

pytestmark = pytest.mark.django_db(transaction=True)
FIRST, SECOND = "acme/noir@1", "acme/noir@2"


@pytest.fixture
def versions(acme, engine) -> list[AdapterVersion]:
    """Two serving versions of one style, of which the first is live."""
    return [known(acme, "noir", engine, auto_promote=is_first) for is_first in (True, False)]


def voted(tenant, voter, choice_for: str, times: int = 1) -> None:
    """Let a model win some rounds of the two, or neither for "tie"."""
    for _ in range(times):
        begun = votes.begin_round(tenant, voter, FIRST, SECOND)
        left = votes.find_side_model(tenant.pk, voter, begun.pk, "left")
        choice = "tie" if choice_for == "tie" else "left" if left == choice_for else "right"
        votes.cast_vote(begun, choice)


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
        votes.cast_vote(begun, "both")
    votes.cast_vote(begun, "tie")
    with pytest.raises(AlreadyVoted):
        votes.cast_vote(begun, "left")
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


def test_standings_count_ties_as_halves_and_only_the_workspaces_votes(acme, alice, charlies, versions):
    voted(acme, alice, SECOND, 6)
    voted(acme, alice, FIRST, 1)
    voted(acme, alice, "tie", 2)
    votes.begin_round(acme, alice, FIRST, SECOND)  # nobody voted on it
    best, other = votes.standings(acme)
    assert (best.side.model, best.votes, other.side.model, other.votes) == (SECOND, 9, FIRST, 9)
    assert best.chance.low < best.chance.percent < best.chance.high
    style = Style.objects.select_related("owner", "live_version").get()
    second, first = votes.standings_of(style)
    assert first.against_live is None
    assert second.against_live.percent == pytest.approx(100 * 7.5 / 10)  # with the tie that all begin with
    assert votes.standings(charlies) == []


def test_a_promotion_asks_for_votes_if_its_owner_wants_that(acme, alice, engine, versions):
    style = Style.objects.select_related("owner", "live_version").get()
    votes.ask_for_votes(style, 2)
    voted(acme, alice, FIRST, 1)
    with pytest.raises(NotEnoughVotes, match="1 of the 2"):
        aliases.promote(versions[1], alice)
    third = known(acme, "noir", engine, auto_promote=True)
    assert Style.objects.get().live_version == versions[0], "an upload waits, too"
    assert votes.missing_votes(style, [*versions, third]) == {versions[1].pk: 1, third.pk: 2}
    voted(acme, alice, "tie", 1)
    aliases.promote(versions[1], alice)
    assert Style.objects.get().live_version == versions[1]
    aliases.promote(third, alice, without_votes=True)
    assert Style.objects.get().live_version == third
    aliases.roll_back(Style.objects.get(), alice)  # asks for none: something is wrong now
    assert Style.objects.get().live_version == versions[1]


def test_rounds_are_bounded_and_pruned(acme, alice, versions, monkeypatch):
    voted(acme, alice, FIRST, 3)
    votes.begin_round(acme, alice, FIRST, SECOND)
    monkeypatch.setattr(votes, "ROUNDS_A_DAY", 4)
    with pytest.raises(TooManyRounds):
        votes.begin_round(acme, alice, FIRST, SECOND)
    now = timezone.now()
    assert retention.delete_old("BlindVote", now) == 0
    assert retention.delete_old("BlindVote", now + timedelta(hours=25)) == 1, "the round without a vote"
    monkeypatch.setattr(retention, "MAX_VOTES", 2)
    assert retention.delete_old("BlindVote", now) == 1
    assert retention.delete_old("BlindVote", now + timedelta(days=366)) == 2


def test_the_versions_tab_shows_votes_and_asks_before_promoting(alice_client, acme, alice, versions):
    tab = reverse("adapters:style_versions", args=["acme", "noir"])
    assert "No votes on its versions yet" in alice_client.get(tab).text
    style = Style.objects.get()
    alice_client.post(reverse("adapters:ask_for_votes", args=[style.pk]), {"votes": "2"})
    voted(acme, alice, SECOND, 1)
    page = alice_client.get(tab).text
    assert "1 more blind vote needed" in page
    assert "Vote first" in page
    assert "Promote anyway" in page
    assert reverse("inference:blind") + "?a=acme%2Fnoir%401&amp;b=acme%2Fnoir%402" in page
    promote = reverse("adapters:promote", args=[versions[1].pk])
    assert "1 of the 2 blind votes" in alice_client.post(promote, follow=True).text
    assert Style.objects.get().live_version == versions[0]
    alice_client.post(promote, {"without_votes": "on"})
    assert Style.objects.get().live_version == versions[1]


def test_a_count_that_is_none_is_refused(alice_client, versions):
    address = reverse("adapters:ask_for_votes", args=[Style.objects.get().pk])
    for written in ("", "-1", "101", "99999", "five", "1.5"):
        answer = alice_client.post(address, {"votes": written}, follow=True)
        assert "from 0 to 100" in answer.text, written
    assert Style.objects.get().votes_before_promotion == 0


def test_the_api_reads_and_sets_them(alice_client, acme, alice, versions):
    voted(acme, alice, SECOND, 3)
    address = "/api/v1/styles/acme/noir/votes"
    alice_client.put(address, {"before_promotion": 9}, content_type="application/json")
    answer = alice_client.get(address).json()
    assert answer["before_promotion"] == 9
    assert [(one["version"], one["votes"]) for one in answer["versions"]] == [(2, 3), (1, 3)]
    promote = "/api/v1/styles/acme/noir/versions/2/promote"
    refused = alice_client.post(promote, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_enough_votes")
    done = alice_client.post(promote, {"without_votes": True}, content_type="application/json")
    assert done.status_code == 200


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
    assert "95% range" in alice_client.get(reverse("inference:blind")).text
