"""The studio's pages log what they change, under the names that the API uses."""

import pytest
from django.urls import reverse

from adapters.catalog import sharing
from adapters.models import AdapterVersion, Share, Status, Style
from tenants.models import AuditEntry
from tests.adapters.api.conftest import logged_actions
from tests.adapters.conftest import adapter_files, known


@pytest.fixture
def version(acme, engine) -> AdapterVersion:
    return known(acme, "noir", engine)


def post(client, page: str, *arguments: object, **fields: object) -> None:
    """Post a form of the studio's, and see that it did what it says."""
    answer = client.post(reverse(f"adapters:{page}", args=arguments), fields)
    assert answer.status_code == 302, answer.content


def test_releases_are_logged(alice_client, alice, acme, engine, version):
    second = known(acme, "noir", engine, auto_promote=False)
    post(alice_client, "promote", second.pk)
    post(alice_client, "roll_back", version.style_id)
    post(alice_client, "begin_canary", second.pk, percent="10")
    post(alice_client, "begin_canary", second.pk, percent="20")
    post(alice_client, "end_canary", version.style_id)
    post(alice_client, "end_canary", version.style_id)  # none runs any more
    post(alice_client, "retire", second.pk, confirm="noir")
    assert logged_actions(acme) == [
        "version.promoted",
        "style.rolled_back",
        "canary.begun",
        "canary.changed",
        "canary.ended",
        "version.retired",
    ]
    assert set(AuditEntry.objects.filter(tenant=acme).values_list("actor", "address")) == {
        (alice.pk, "127.0.0.1")
    }


def test_words_offers_and_shares_are_logged(alice_client, acme, charlies, version):
    about = {"name": "Noir", "author": "Alice", "licence": "MIT", "description": "", "sample_prompt": ""}
    post(alice_client, "describe", version.style_id, **about)
    post(alice_client, "describe", version.style_id, **about)  # nothing is new
    for action in ("offer", "withdraw", "withdraw"):
        post(alice_client, "offer", version.style_id, action)
    sharing.set_public(version.style)
    for action in ("take-back", "keep"):
        post(alice_client, "offer", version.style_id, action)
    post(alice_client, "share", version.style_id, workspace="charlies-prose")
    for action in ("revoke", "keep"):
        post(alice_client, "change_share", Share.objects.get().pk, action)
    assert logged_actions(acme) == [
        "style.edited",
        "style.offered",
        "style.offer_withdrawn",
        "style.taken_back",
        "style.kept_public",
        "style.shared",
        "style.share_revoked",
        "style.share_kept",
    ]
    edited = AuditEntry.objects.get(tenant=acme, action="style.edited")
    assert (edited.before, edited.after) == (
        {"author": "", "licence": ""},
        {"author": "Alice", "licence": "MIT"},
    )


def test_what_a_workspace_takes_and_leaves_is_in_its_own_log(charlie_client, charlies, acme, version):
    sharing.share_style(version.style, "charlies-prose", None)
    post(charlie_client, "select", version.style_id)
    post(charlie_client, "unselect", version.style_id)
    post(charlie_client, "leave", version.style_id)
    assert logged_actions(charlies) == ["style.selected", "style.unselected", "style.share_left"]
    assert logged_actions(acme) == []


def test_uploads_and_what_becomes_of_them_are_logged(alice_client, acme, engine):
    sizes = [{"name": name, "size": len(content)} for name, content in adapter_files().items()]
    for slug in ("ode", "ode", "elegy"):
        body = {"slug": slug, "name": slug, "files": sizes}
        path = reverse("adapters:create_version")
        assert alice_client.post(path, body, content_type="application/json").status_code == 201
    post(alice_client, "cancel", AdapterVersion.objects.get(style__slug="elegy").pk)
    post(alice_client, "retry", known(acme, "noir", engine, status=Status.FAILED).pk)
    post(alice_client, "convert", known(acme, "noir", engine, status=Status.REJECTED, conversions=["r"]).pk)
    assert logged_actions(acme) == [
        "style.created",
        "version.created",
        "version.created",
        "style.created",
        "version.created",
        "upload.aborted",
        "version.retried",
        "version.converted",
    ]


def test_deletions_are_logged(alice_client, acme, engine, version):
    known(acme, "noir", engine)
    post(alice_client, "erase_version", version.pk, confirm="noir")
    post(alice_client, "erase_version", version.pk, confirm="noir")  # it is being erased
    post(alice_client, "delete_style", version.style_id, confirm="noir")
    assert logged_actions(acme) == ["version.deleted", "style.deleted"]
    assert Style.objects.get().retired_at


def test_an_action_that_fails_leaves_no_line(alice_client, acme, version):
    post(alice_client, "roll_back", version.style_id)  # there is nothing before
    post(alice_client, "retry", version.pk)  # it has not failed
    assert logged_actions(acme) == []
