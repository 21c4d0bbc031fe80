"""Aliases move between versions that serve: promoted, rolled back, tried on a share, fallen back, watched."""

from contextlib import suppress
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from adapters import tasks
from adapters.errors import BadShare, NothingToCompare, NothingToRollBackTo, NotServing
from adapters.models import AdapterVersion, Probe, Release, Status, Style
from adapters.placement import transitions
from adapters.releases import aliases, canary_analysis
from core.messages import Message
from metering.ledger import record_events
from tests.adapters.builders import by, known
from tests.racing import race
from tests.tenants.builders import make_event

pytestmark = pytest.mark.django_db(transaction=True)


def style() -> Style:
    return Style.objects.select_related("live_version", "canary_version").get(slug="noir")


def live() -> int | None:
    return style().live_version and style().live_version.number


def canary() -> tuple[int, int] | None:
    one = style()
    return one.canary_version and (one.canary_version.number, one.canary_percent)


def moves() -> list[str]:
    return [release.sentence for release in Release.objects.order_by("pk")]


def answered(tenant, version, *, times, failed=0, empty=0, at=None):
    """Record requests that a version finished."""
    facts = {"style": version.style_id, "version_number": version.number, "admitted_at": at or timezone.now()}
    outcomes = [{"outcome": "upstream_error", "prompt_tokens": 0, "completion_tokens": 0}] * failed
    outcomes += [{"completion_tokens": 1, "finish_reason": "empty"}] * empty + [{}] * (times - failed - empty)
    record_events(make_event(tenant, **facts, **outcome) for outcome in outcomes)


def test_the_first_version_answers_and_later_ones_only_if_they_were_uploaded_to(acme, engine, versions):
    assert (live(), moves()) == (1, ["Version 1 went live"])
    known(acme, "noir", engine, auto_promote=True)
    assert live() == 4
    late = known(acme, "noir", engine, status=Status.PUSHING)
    known(acme, "noir", engine, auto_promote=True)
    transitions.mark_loaded(late.placements.get(), late.engine_name)
    assert live() == 6, "one that comes late does not replace a newer one"


def test_an_engine_that_loads_a_version_again_moves_no_alias(acme, engine, versions):
    newest = known(acme, "noir", engine, auto_promote=True)
    aliases.roll_back(by(), style())
    placement = newest.placements.get()
    transitions.mark_unloaded(placement)
    transitions.mark_loaded(placement, newest.engine_name)
    assert live() == 1


def test_promoting_and_rolling_back_are_recorded(alice, versions):
    first, second, third = versions
    assert aliases.promote(by(alice), second)
    assert not aliases.promote(by(alice), second), "another tab was first"
    aliases.promote(by(alice), third)
    assert aliases.roll_back(by(alice), style()) == second
    assert aliases.roll_back(by(alice), style()) == first, "a step further back, not forward again"
    with pytest.raises(NothingToRollBackTo):
        aliases.roll_back(by(alice), style())
    assert moves() == [
        "Version 1 went live",
        "Version 2 replaced version 1",
        "Version 3 replaced version 2",
        "Version 2 replaced version 3",
        "Version 1 replaced version 2",
    ]
    assert Release.objects.filter(alias="live", after=third).get().actor == alice
    aliases.promote(by(alice), third)
    assert aliases.roll_back(by(), style()) == first


def test_only_a_version_that_serves_is_promoted_or_tried(acme, engine, versions):
    first, second, third = versions
    aliases.promote(by(), third)
    transitions.retire_version(first)
    pushing = known(acme, "noir", engine, status=Status.PUSHING)
    for version in (first, pushing):
        with pytest.raises(NotServing, match=f"Version {version.number} is not serving"):
            aliases.promote(by(), version)
        with pytest.raises(NotServing):
            aliases.begin_canary(by(), version, 10)
    with pytest.raises(NotServing):
        aliases.roll_back(by(), style())
    with pytest.raises(NothingToCompare):
        aliases.begin_canary(by(), third, 10)
    for percent in (0, 100, -1):
        with pytest.raises(BadShare):
            aliases.begin_canary(by(), second, percent)
    assert (live(), canary()) == (3, None)


def test_a_canary_begins_grows_and_ends(alice, versions):
    _, second, third = versions
    aliases.begin_canary(by(alice), second, 10)
    since = style().canary_since
    aliases.begin_canary(by(alice), second, 50)
    assert (canary(), style().canary_since) == ((2, 50), since)
    before = style()
    aliases.begin_canary(by(alice), third, 5)
    assert not aliases.end_canary(by(), before), "that one was replaced meanwhile"
    assert aliases.stop_canary(style(), aliases.Cause(alice, reason=Message.of("Enough.")))
    assert not aliases.end_canary(by(alice), style())
    assert (canary(), live()) == (None, 1)
    assert moves()[1:] == [
        "Version 2 gets 10% of requests",
        "Version 2 gets 50% of requests",
        "Version 3 gets 5% of requests",
        "The canary, version 3, ended",
    ]


def test_promoting_ends_the_canary(versions):
    aliases.begin_canary(by(), versions[1], 10)
    aliases.promote(by(), versions[1])
    assert (live(), canary()) == (2, None)
    aliases.begin_canary(by(), versions[2], 10)
    aliases.roll_back(by(), style())
    assert (live(), canary()) == (1, None)


def test_a_live_version_that_ends_is_replaced_by_the_one_before_it(versions):
    first, second, third = versions
    aliases.promote(by(), third)
    aliases.promote(by(), second)
    aliases.begin_canary(by(), first, 10)
    transitions.retire_version(second)
    assert (live(), canary()) == (3, None)
    assert "Version 2 was retired." in Release.objects.values_list("reason", flat=True)
    transitions.mark_rejected(third.placements.get(), "Not stored.", by_engine=False)
    assert live() == 1
    transitions.retire_version(first)
    assert live() is None
    assert moves()[-1] == "No live version"


def test_the_sample_line_is_always_the_live_version_s(versions):
    first, second, third = versions
    for version in (first, second):
        row = {"prompt": "Why?", "base": "So.", "style": f"I am {version.number}."}
        Probe.objects.create(version=version, strength=1, noise=0, samples=[row])
    Style.objects.update(sample_prompt="Why?", sample="I am 1.")
    aliases.promote(by(), second)
    assert style().sample == "I am 2."
    aliases.roll_back(by(), style())
    assert style().sample == "I am 1."
    aliases.promote(by(), third)
    assert style().sample == "", "it has not answered yet"
    transitions.retire_version(third)
    assert style().sample == "I am 1."
    transitions.retire_version(second)
    transitions.retire_version(first)
    assert style().sample == ""


def test_two_promotions_and_a_retirement_at_once_leave_one_version_live_that_serves(versions):
    _, second, third = versions

    def promote(version):
        with suppress(NotServing):
            aliases.promote(by(), version)

    race(
        lambda: promote(second),
        lambda: promote(third),
        lambda: transitions.retire_version(AdapterVersion.objects.get(pk=third.pk)),
    )
    assert style().live_version.status == Status.SERVING
    log = Release.objects.filter(alias="live").order_by("pk")
    assert [one.before_id for one in log][1:] == [one.after_id for one in log][:-1]
    assert log.last().after == style().live_version


@pytest.mark.parametrize(
    ("canarys", "lives", "ends"),
    [
        ({"times": 19, "failed": 19}, {"times": 100}, ""),
        ({"times": 20, "failed": 1}, {"times": 100}, ""),
        ({"times": 20, "failed": 2}, {"times": 100}, "failed in 2 of 20 requests, version 1 in 0 of 100."),
        ({"times": 20, "failed": 2}, {"times": 100, "failed": 3}, ""),
        (
            {"times": 40, "failed": 14},
            {"times": 10, "failed": 1},
            "failed in 14 of 40 requests, version 1 in 1 of 10.",
        ),
        ({"times": 20, "failed": 2}, {"times": 0}, "failed in 2 of 20 requests, version 1 in 0 of 0."),
        (
            {"times": 20, "empty": 5},
            {"times": 20},
            "returned an empty answer in 5 of 20 requests, version 1 in 0 of 20.",
        ),
        ({"times": 20, "empty": 5}, {"times": 20, "empty": 5}, ""),
    ],
)
def test_a_canary_that_does_clearly_worse_is_rolled_back_by_itself(acme, versions, canarys, lives, ends):
    first, second, _ = versions
    answered(acme, second, times=50, failed=50)  # before it was a canary
    aliases.begin_canary(by(), second, 10)
    answered(acme, second, **canarys)
    answered(acme, first, **lives)
    tasks.watch_canaries()
    tasks.watch_canaries()
    last = Release.objects.first()
    assert (canary() is None) == bool(ends)
    assert live() == 1
    if ends:
        assert (last.sentence, last.actor) == ("The canary, version 2, ended", None)
        assert last.reason == f"Version 2 {ends}"


def test_what_a_canary_did_long_ago_does_not_count_for_ever(acme, versions):
    second = versions[1]
    aliases.begin_canary(by(), second, 10)
    Style.objects.update(canary_since=timezone.now() - timedelta(days=9))
    answered(acme, second, times=100, failed=100, at=timezone.now() - timedelta(days=2))
    answered(acme, second, times=30)
    assert aliases.end_failing_canaries() == 0


def test_the_figures_are_said_in_a_sentence(acme, versions):
    first, second, _ = versions
    aliases.begin_canary(by(), second, 10)

    def said():
        return canary_analysis.compare_canary(style()).sentence.removeprefix(
            "Version 2 gets 10% of requests; "
        )

    answered(acme, second, times=7)
    assert said() == ("Version 2 gets 10% of requests. 7 of 20 requests needed for a verdict have completed.")
    answered(acme, second, times=93)
    assert said() == "neither it nor version 1 has failed."
    answered(acme, first, times=20, failed=1)
    assert said() == "it fails less often than version 1."
    answered(acme, second, times=1, empty=1)
    assert said() == "it fails less often than version 1, and returns empty answers more often."


def test_every_member_may_release(bob_client, bob, versions):
    page = reverse("adapters:style_versions", args=["acme", "noir"])
    second = versions[1]
    promote, begin = (reverse(f"adapters:{name}", args=[second.pk]) for name in ("promote", "begin_canary"))
    back, end = (reverse(f"adapters:{name}", args=[second.style_id]) for name in ("roll_back", "end_canary"))
    assert "2 now gets 25% of requests" in bob_client.post(begin, {"percent": "25"}, follow=True).text
    assert "25% of requests" in bob_client.get(reverse("adapters:canary", args=[style().pk])).text
    assert "acme/noir@2" in bob_client.get(page).text
    bob_client.post(end)
    gone = bob_client.get(reverse("adapters:canary", args=[style().pk]))
    assert gone["HX-Refresh"] == "true"
    bob_client.post(promote)
    assert live() == 2
    assert "Roll back to version 1" in bob_client.get(page).text
    assert "Rolled back" in bob_client.post(back, follow=True).text
    assert live() == 1
    assert "There is no previous live version" in bob_client.post(back, follow=True).text
    assert set(Release.objects.exclude(actor=None).values_list("actor__email", flat=True)) == {bob.email}
    for percent in ("", "0", "100", "ten", "1e1", "²"):
        assert "from 1 to 99" in bob_client.post(begin, {"percent": percent}, follow=True).text
    assert canary() is None
