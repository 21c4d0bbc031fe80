"""Shares over the management API."""

import pytest

from adapters.models import Share
from tests.adapters.api.conftest import logged_actions
from tests.tenants.api.builders import problem

pytestmark = pytest.mark.django_db

NOIR = "styles/acme/noir"
SHARES = f"{NOIR}/shares"


def test_a_share_is_made_revoked_with_notice_and_kept(program, stranger, acme, charlies, noir):
    made = program.post(SHARES, {"workspace": "charlies-prose"})
    assert made.status_code == 201
    share = made.json()
    assert (share["workspace"], share["workspace_name"]) == ("charlies-prose", "Charlie's Prose")
    assert share["ends_at"] is None
    problem(program.post(SHARES, {"workspace": "charlies-prose"}), 409, "already_shared")
    assert program.get(SHARES).json()["data"] == [share]
    assert program.get(f"{SHARES}/charlies-prose").json() == share
    seen = stranger.get(NOIR).json()
    assert (seen["is_shared"], seen["is_own"], seen["live_version"], seen["offer"]) == (True, False, 1, None)

    revoked = program.delete(f"{SHARES}/charlies-prose", If_Match=made["ETag"]).json()
    assert revoked["ends_at"]
    late = program.delete(f"{SHARES}/charlies-prose", If_Match=made["ETag"])
    problem(late, 412, "precondition_failed")
    assert stranger.get(NOIR).json()["ends_at"] == revoked["ends_at"]
    assert program.post(SHARES, {"workspace": "charlies-prose"}).json() == share
    assert logged_actions(acme) == ["style.shared", "style.share_revoked", "style.shared"]


def test_a_wrong_share_is_refused(program, noir, charlies):
    named = problem(program.post(SHARES, {"workspace": charlies.name}), 409, "short_name_needed")
    assert "`charlies-prose`" in named["detail"]
    problem(program.post(SHARES, {"workspace": "nobody"}), 404, "no_such_workspace")
    problem(program.post(SHARES, {"workspace": "acme"}), 400, "own_workspace")
    for body in (*({"workspace": wrong} for wrong in ("", 5, "w" * 41, "a\u0000b")), {"name": "acme"}, {}):
        problem(program.post(SHARES, body), 400, "invalid")
    assert not Share.objects.exists()


def test_who_has_a_style_by_a_share_sees_its_own_share_and_can_leave(program, stranger, acme, charlies, noir):
    program.post(SHARES, {"workspace": "charlies-prose"})
    problem(stranger.get(SHARES), 404, "not_your_style")
    problem(stranger.post(SHARES, {"workspace": "acme"}), 404, "not_your_style")
    problem(stranger.get(f"{SHARES}/acme"), 404, "style_not_found")
    problem(stranger.delete(f"{SHARES}/acme"), 404, "style_not_found")
    assert stranger.get(f"{SHARES}/charlies-prose").json()["model"] == "acme/noir"
    stranger.request("put", f"{NOIR}/selection")
    assert stranger.delete(f"{SHARES}/charlies-prose").status_code == 200
    assert not Share.objects.exists()
    problem(stranger.get(NOIR), 404, "style_not_found")
    problem(program.get(f"{SHARES}/charlies-prose"), 404, "not_shared")
    assert logged_actions(charlies) == ["style.selected", "style.share_left"]
