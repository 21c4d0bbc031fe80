"""What this floor's actions tell programs: recorded with the change, with the object as the API shows it."""

import pytest

from adapters.api.sharing import ShareObject
from adapters.api.styles import present_own_style
from adapters.api.versions import VersionObject
from adapters.catalog import sharing
from adapters.erasure import workflow
from adapters.errors import NotOffered, NotServing
from adapters.models import AdapterVersion, Status, Style
from adapters.placement import transitions
from adapters.releases import aliases
from adapters.uploads import pipeline, sessions
from core.messages import Message
from core.rest.objects import present
from events.models import OutboxEvent
from tenants.models import Tenant, User
from tests.adapters.builders import adapter_files, begin, by, known, uploaded
from tests.adapters.erasure.conftest import erase
from tests.tenants.builders import owner_of

pytestmark = pytest.mark.django_db(transaction=True)


def recorded(tenant: Tenant, *, skip: int = 0) -> list[tuple[str, dict[str, object]]]:
    """Return the types and facts of a workspace's events, in order."""
    events = OutboxEvent.objects.filter(tenant=tenant).order_by("created_at")[skip:]
    return [(event.type, event.facts) for event in events]


def objects_of(event_type: str) -> list[dict[str, object]]:
    """Return what the events of a type carry, in order."""
    events = OutboxEvent.objects.filter(type=event_type).order_by("created_at")
    return [event.object for event in events]


def newest() -> OutboxEvent:
    return OutboxEvent.objects.latest("created_at")


@pytest.fixture
def versions(acme, engine) -> list[AdapterVersion]:
    """Two serving versions of Acme's, of which the first is live."""
    return [known(acme, "noir", engine, auto_promote=is_first) for is_first in (True, False)]


def test_what_serves_is_told_once_its_style_says_what_answers(acme, versions):
    assert recorded(acme) == [
        (
            "release.promoted",
            {"version": 1, "previous_version": None, "reason": ("No other version was serving.")},
        ),
        ("version.serving", {}),
        ("version.serving", {}),
    ]
    first, second = objects_of("version.serving")
    assert (first["object"], first["number"], first["status"]) == ("version", 1, "serving")
    assert [first["is_live"], second["is_live"]] == [True, False]
    promoted = OutboxEvent.objects.get(type="release.promoted").object
    assert (promoted["model"], promoted["live_version"], promoted["is_own"]) == ("acme/noir", 1, True)


def test_promoting_and_rolling_back_are_told_apart(acme, alice, versions):
    aliases.promote(by(alice), versions[1])
    aliases.promote(by(alice), versions[1])
    aliases.roll_back(by(alice), Style.objects.get())
    assert recorded(acme, skip=3) == [
        ("release.promoted", {"version": 2, "previous_version": 1, "reason": ""}),
        ("release.rolled_back", {"version": 1, "previous_version": 2, "reason": "Rolled back."}),
    ]
    assert newest().object == present_own_style(Style.objects.get())


def test_a_canary_that_ends_tells_by_whom(acme, alice, versions):
    style = versions[0].style
    aliases.begin_canary(by(alice), versions[1], 10)
    aliases.begin_canary(by(alice), versions[1], 20)
    assert recorded(acme, skip=3) == []
    canary = Style.objects.get(pk=style.pk)
    cause = aliases.Cause(reason=Message.of("Version 2 failed 9 of 20 times."))
    aliases.stop_canary(canary, cause, is_automatic=True)
    aliases.begin_canary(by(alice), versions[1], 10)
    aliases.promote(by(alice), versions[1])
    assert recorded(acme, skip=3) == [
        (
            "canary.ended",
            {"version": 2, "is_automatic": True, "reason": "Version 2 failed 9 of 20 times."},
        ),
        ("canary.ended", {"version": 2, "is_automatic": False, "reason": "The live version changed."}),
        ("release.promoted", {"version": 2, "previous_version": 1, "reason": ""}),
    ]
    assert [(ended["canary"], ended["live_version"]) for ended in objects_of("canary.ended")] == [
        (None, 1),
        (None, 2),
    ]


def test_a_version_that_ends_tells_it_and_what_answers_instead(acme, versions):
    aliases.promote(by(), versions[1])
    transitions.retire_version(versions[1])
    transitions.retire_version(versions[1])
    assert recorded(acme, skip=4) == [
        (
            "release.rolled_back",
            {"version": 1, "previous_version": 2, "reason": "Version 2 was retired."},
        ),
        ("version.retired", {}),
    ]
    [retired] = objects_of("version.retired")
    assert (retired["status"], retired["is_live"], retired["erasure"]) == ("retired", False, None)


def test_a_deleted_version_tells_its_erasure(acme, alice, versions):
    erasure = workflow.erase_version(versions[1], alice)
    [retired] = objects_of("version.retired")
    assert (retired["number"], retired["erasure"]) == (2, str(erasure.version_id))
    assert retired == {**present(VersionObject, AdapterVersion.objects.get(number=2)), "findings": []}


def test_a_canary_that_fails_or_is_retired_is_none_in_its_last_event(acme, alice, versions):
    aliases.begin_canary(by(alice), versions[1], 10)
    transitions.retire_version(AdapterVersion.objects.select_related("style").get(number=2))
    [ended], [retired] = objects_of("canary.ended"), objects_of("version.retired")
    assert (ended["canary"], ended["live_version"]) == (None, 1)
    assert (retired["is_canary"], retired["is_live"]) == (False, False)


def test_a_version_that_no_engine_takes_tells_why(acme, engine):
    version = known(acme, "noir", engine, status=Status.PUSHING)
    transitions.mark_rejected(version.placements.get(), "It is corrupt.", by_engine=True)
    assert recorded(acme) == [("version.failed", {})]
    assert newest().object["failure"] == "It is corrupt."


def test_a_live_version_that_fails_is_not_live_in_the_event(acme, versions):
    placement = versions[0].placements.select_related("version__style").get()
    transitions.mark_rejected(placement, "It is corrupt.", by_engine=False)
    [failed] = objects_of("version.failed")
    assert (failed["number"], failed["status"], failed["is_live"]) == (1, "failed", False)


def test_a_rejected_upload_tells_what_was_found(acme, engine, alice):
    files = adapter_files(base="another/model")
    version = uploaded(acme, files={**files, "adapter_config.json": b"{}"})
    pipeline.advance_version(version)
    assert recorded(acme) == [("version.rejected", {})]
    assert newest().object["status"] == "rejected"
    assert newest().object["findings"]
    cancelled, _ = begin(acme, "noir", files)
    sessions.cancel_upload(cancelled)
    assert recorded(acme)[1:] == [("version.rejected", {})]


def test_a_share_is_told_to_the_workspace_that_gets_it(acme, alice, versions, charlies):
    share = sharing.share_style(owner_of(versions[0].style.owner, alice), versions[0].style, charlies.slug)
    assert recorded(charlies) == [("style.shared", {})]
    shared = newest().object
    assert shared == {**present(ShareObject, share), "style": str(share.style_id)}
    assert "test_prompts" not in shared
    sharing.revoke_share(owner_of(share.style.owner), share)
    sharing.share_style(owner_of(versions[0].style.owner, alice), versions[0].style, charlies.slug)
    assert len(recorded(charlies)) == 2


def test_what_operators_decide_is_told_with_their_reason(acme, versions):
    Style.objects.update(author="Alice", licence="CC BY 4.0")
    style = Style.objects.select_related("owner").get()
    sharing.offer_style(owner_of(style.owner), style)
    sharing.decline_offer(style, "No sample.")
    with pytest.raises(NotOffered):
        sharing.decline_offer(style, "Twice.")
    sharing.offer_style(owner_of(style.owner), style)
    sharing.approve_style(style)
    sharing.approve_version(versions[1])
    assert recorded(acme, skip=3) == [
        ("style.offer_decided", {"decision": "declined", "reason": "No sample."}),
        ("style.offer_decided", {"decision": "approved"}),
        ("style.offer_decided", {"decision": "approved", "version": 2}),
    ]
    declined = OutboxEvent.objects.filter(type="style.offer_decided").earliest("created_at")
    assert declined.object["offer"]["state"] == "declined"


def test_a_finished_erasure_is_told_once_with_its_report(acme, versions):
    erasure = erase(versions[1])
    workflow._finish_erasure(erasure)
    workflow._finish_erasure(erasure)
    finished = OutboxEvent.objects.get(type="erasure.completed")
    assert finished.tenant == acme
    assert (finished.object["version"], finished.object["is_finished"]) == (2, True)


def test_what_fails_tells_nothing(acme, alice, versions):
    transitions.retire_version(versions[1])
    before = OutboxEvent.objects.count()
    with pytest.raises(NotServing):
        aliases.promote(by(User.objects.get(pk=alice.pk)), versions[1])
    assert OutboxEvent.objects.count() == before
