"""The page "Notices" and the link without a login: one's own choice, and nobody else's."""

import re

import pytest
from django.core import mail, signing
from django.test import Client
from django.urls import reverse

from events.models import EventType, NoticeKind, NoticeMail
from events.notices import catalog, sending
from events.notices.catalog import ALWAYS_SENT, CHOOSABLE
from tenants.models import Membership

pytestmark = pytest.mark.django_db

PAGE = "/notices/"


def muted_by(user) -> list[str]:
    return Membership.objects.get(user=user).muted_notices


@pytest.fixture
def link(alice_alone, settings) -> str:
    """The path of Alice's link that switches mail about webhooks off."""
    return catalog.unsubscribe_url(alice_alone, NoticeKind.WEBHOOKS).removeprefix(settings.SITE_URL)


def checked(page) -> int:
    """Return how many boxes of the form are checked. The list of shortcuts has a box of its own."""
    return page.text.partition("<main")[2].partition("</main>")[0].count(" checked")


def test_a_member_chooses_for_themselves_alone(alice_client, bob_client, alice, bob):
    page = alice_client.get(PAGE)
    assert checked(page) == len(CHOOSABLE)
    assert alice_client.post(PAGE, {"kinds": ["usage", "shares"]}).status_code == 302
    assert muted_by(alice) == [
        "uploads",
        "trainings",
        "canaries",
        "offers",
        "webhooks",
        "invoices",
        "payments",
    ]
    assert muted_by(bob) == []
    assert checked(alice_client.get(PAGE)) == 2
    assert checked(bob_client.get(PAGE)) == len(CHOOSABLE)
    alice_client.post(PAGE, {})
    assert muted_by(alice) == [kind.value for kind in CHOOSABLE]
    assert "We only send you essential emails" not in bob_client.get(PAGE).text


def test_what_cannot_be_switched_off_is_said_and_cannot_be_sent(alice_client, alice):
    page = alice_client.get(PAGE).text
    for kind in ALWAYS_SENT:
        assert str(kind.label) in page
        assert f'value="{kind.value}"' not in page
    answer = alice_client.post(PAGE, {"kinds": ["keys"]})
    assert answer.status_code == 400
    assert "Choose from the notifications below" in answer.text
    assert muted_by(alice) == []


def test_the_settings_lead_to_the_page(alice_client):
    assert f'href="{PAGE}"' in alice_client.get(reverse("website:settings")).text


def test_the_link_in_a_mail_asks_first_then_switches_one_kind_off_and_on(
    client, happen, alice, bob, settings
):
    happen(EventType.WEBHOOK_DISABLED)
    sending.send_due()
    address = re.search(r"Unsubscribe from these emails: (\S+)", mail.outbox[0].body).group(1)
    path = address.removeprefix(settings.SITE_URL)
    page = client.get(path)
    assert "Unsubscribe from these emails?" in page.text
    assert alice.email not in page.text
    assert "no-store" in page["Cache-Control"]
    assert muted_by(alice) == [], "a scanner of mail follows links"
    assert "You\u2019re unsubscribed from these emails" in client.post(path, {"wanted": "0"}).text
    assert muted_by(alice) == ["webhooks"]
    assert muted_by(bob) == []
    assert "You\u2019re subscribed to these emails" in client.post(path, {"wanted": "1"}).text
    assert muted_by(alice) == []


def test_mail_programs_unsubscribe_by_one_click_without_session_or_token(alice, link):
    strict = Client(enforce_csrf_checks=True)
    for _ in range(2):
        assert strict.post(link, {"List-Unsubscribe": "One-Click"}).status_code == 200
        assert muted_by(alice) == ["webhooks"]


def test_a_click_leaves_other_choices_as_they_are(client, alice_alone, alice, link):
    catalog.choose_kinds(alice_alone, ["webhooks", "usage"])
    client.post(link)
    assert set(muted_by(alice)) == {
        "canaries",
        "invoices",
        "payments",
        "offers",
        "shares",
        "trainings",
        "uploads",
        "webhooks",
    }


def forged(alice_alone) -> dict[str, str]:
    return {
        "another salt": signing.dumps([alice_alone.pk, "webhooks"]),
        "another key": signing.dumps([alice_alone.pk, "webhooks"], key="x" * 50, salt=catalog.SALT),
        "nobody": signing.dumps([0, "webhooks"], salt=catalog.SALT),
        "what is always sent": signing.dumps([alice_alone.pk, "keys"], salt=catalog.SALT),
        "no kind": signing.dumps([alice_alone.pk, "everything"], salt=catalog.SALT),
        "no token": "abc",
    }


def test_forged_tokens_are_not_found_and_change_nothing(client, charlie_client, alice_alone, alice, link):
    tokens = forged(alice_alone)
    tokens["cut off"] = link.split("/")[-2][:-1]
    for why, token in tokens.items():
        path = reverse("events:unsubscribe", args=[token])
        for who in (client, charlie_client):
            assert who.get(path).status_code == 404, why
            assert who.post(path).status_code == 404, why
    assert muted_by(alice) == []


def test_the_link_of_a_person_who_left_is_not_found(client, link, alice_alone):
    alice_alone.delete()
    assert client.post(link).status_code == 404
    assert not NoticeMail.objects.exists()
