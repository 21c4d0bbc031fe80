"""A workspace and a key turn the watermark off, and no page without the box does."""

import pytest
from django.urls import reverse

from tenants.models import ApiKey
from tests.tenants.builders import issue_key

EDIT = reverse("website:edit_workspace")
SHOWN = {"watermark_shown": "1"}


def test_the_workspace_turns_it_off_and_on(alice_client, acme, valkey):
    def saved(**sent):
        assert alice_client.post(EDIT, {"name": "Acme", "default_style": ""} | sent).status_code == 302
        acme.refresh_from_db()
        return acme.is_watermarked

    assert saved() is True  # a page without the box
    assert saved(**SHOWN) is False
    assert saved() is False
    assert saved(**SHOWN, is_watermarked="on") is True


def test_what_the_operator_decides_is_not_offered(alice_client, acme, settings):
    assert "is_watermarked" in alice_client.get(reverse("website:settings")).text
    settings.WATERMARK = "required"
    assert "is_watermarked" not in alice_client.get(reverse("website:settings")).text
    alice_client.post(EDIT, {"name": "Acme", "default_style": "", **SHOWN})
    acme.refresh_from_db()
    assert acme.is_watermarked is True


def test_a_key_for_programs_alone_turns_it_off(alice_client, acme, valkey):
    key, _ = issue_key(acme, name="batch", by=None)
    address = reverse("keys:limit_key", args=[key.pk])
    for sent, is_watermarked in [({}, True), (SHOWN, False), ({**SHOWN, "is_watermarked": "on"}, True)]:
        assert alice_client.post(address, sent).status_code == 302
        assert ApiKey.objects.get(pk=key.pk).is_watermarked is is_watermarked


PLAYGROUND = reverse("inference:playground")
SWITCH = reverse("website:settings") + "#id_is_watermarked"


@pytest.mark.parametrize(
    ("policy", "workspace", "says", "has_switch"),
    [
        ("on", True, True, True),
        ("on", False, False, False),
        ("required", False, True, False),
        ("off", True, False, False),
    ],
)
def test_the_playground_says_that_text_is_marked(
    *, alice_client, acme, settings, policy, workspace, says, has_switch
):
    settings.WATERMARK_KEYS = {1: 7}
    settings.WATERMARK = policy
    acme.is_watermarked = workspace
    acme.save()
    page = alice_client.get(PLAYGROUND).text
    assert ("carries an invisible watermark" in page, SWITCH in page) == (says, has_switch)
    settings.WATERMARK_KEYS = {}
    assert "carries an invisible watermark" not in alice_client.get(PLAYGROUND).text


def test_a_member_is_told_who_can_turn_it_off(bob_client, settings):
    settings.WATERMARK_KEYS = {1: 7}
    page = bob_client.get(PLAYGROUND).text
    assert "Owners and admins can turn it off" in page
    assert SWITCH not in page
