"""Invitations: who gets in by which link, and what the links disclose."""

import re
from datetime import timedelta
from unittest.mock import Mock

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from accounts import members
from events.models import NoticeMail
from events.notices import sending
from operations.retention import delete_old
from tenants.access import Access
from tenants.invitation_links import token_of
from tenants.models import AuditEntry, Invitation, Membership, User
from tenants.roles import Role, RoleNotAllowed
from tests.tenants.builders import browser_of

pytestmark = pytest.mark.django_db

LINK = re.compile(r"(/invitations/[\w.-]+/)")
SIGN_UP = {"email": "dora@example.org", "password1": "correct horse battery staple"}


@pytest.fixture
def invite(owner):
    """Invites an address and returns the path of the link that a worker mailed."""

    def make(email: str, role: str = Role.MEMBER) -> str:
        members.invite(email, role, by=owner)
        assert sending.send_due() == 1
        return LINK.search(mail.outbox[-1].body).group(1)

    return make


def test_a_mail_goes_to_the_address_alone_and_the_database_has_no_token(invite):
    token = invite("dora@example.org").split("/")[2]
    [letter] = mail.outbox
    assert letter.to == ["dora@example.org"]
    assert letter.subject == "Polyscribe: You\u2019re invited to Acme"
    assert "alice@example.org invited you" in letter.body
    assert "on Polyscribe as member" in letter.body
    assert "If you weren\u2019t expecting this" in letter.body
    html, kind = letter.alternatives[0]
    assert kind == "text/html"
    assert LINK.search(html).group(1) == LINK.search(letter.body).group(1)
    for text in (letter.body, html):
        assert "Notification settings" not in text
        assert "?workspace=" not in text
    invitation = Invitation.objects.get()
    assert invitation.mailed_at
    signature = token.rpartition(".")[2]
    assert signature not in str([vars(invitation), vars(NoticeMail.objects.get())])


def test_a_forged_link_opens_nothing(invite, client):
    path = invite("dora@example.org")
    other = Invitation.objects.create(
        tenant=Invitation.objects.get().tenant, email="eve@example.org", expires_at=timezone.now()
    )
    ours = token_of(other).rpartition(".")
    for token in (path.split("/")[2][:-1], f"{path.split('/')[2].rpartition('.')[0]}.{ours[2]}", "x"):
        assert client.get(reverse("accounts:join", args=[token])).status_code == 404, token
    assert client.get(path).status_code == 200


def test_a_mail_that_waits_brings_the_newest_link_and_none_once_it_is_withdrawn(owner, invite, clock):
    members.invite("dora@example.org", Role.MEMBER, by=owner)
    members.invite("eve@example.org", Role.MEMBER, by=owner)
    members.withdraw(Invitation.objects.get(email="eve@example.org"), by=owner)
    clock.move(minutes=3)
    members.resend(Invitation.objects.get(), by=owner)
    assert sending.send_due() == 1
    [letter] = mail.outbox
    assert letter.to == ["dora@example.org"]
    link = reverse("accounts:join", args=[token_of(Invitation.objects.get())])
    assert LINK.search(letter.body).group(1) == link


def test_an_invitation_is_in_the_language_of_who_invites(invite, alice, owner):
    User.objects.filter(pk=alice.pk).update(language="de")
    invite("dora@example.org")
    assert "Einladung zu Acme" in mail.outbox[0].subject


def test_a_name_that_reads_as_a_link_is_not_mailed(invite, acme):
    type(acme).objects.update(name="Win at evil.example/now")
    invite("dora@example.org")
    assert "evil" not in mail.outbox[0].body + mail.outbox[0].subject + str(mail.outbox[0].alternatives)


def test_an_existing_account_joins_once_and_lands_in_the_workspace(invite, acme):
    path = invite("dora@example.org", Role.VIEWER)
    dora = browser_of(User.objects.create_user("dora@example.org"))
    assert "Join Acme" in dora.get(path).text
    assert dora.post(path).status_code == 302
    membership = Membership.objects.get(user__email="dora@example.org")
    assert (membership.tenant, membership.role) == (acme, Role.VIEWER)
    assert "Acme" in dora.get(reverse("accounts:team")).text
    assert AuditEntry.objects.filter(action="member.joined", tenant=acme).count() == 1
    assert dora.post(path).status_code == 404


def test_another_account_is_not_let_in(invite):
    path = invite("dora@example.org")
    eve = browser_of(User.objects.create_user("eve@example.org"))
    page = eve.get(path)
    assert "another address" in page.text
    assert "dora@example.org" not in page.text
    assert eve.post(path).status_code == 403
    assert not Membership.objects.filter(user__email="eve@example.org").exists()


def test_a_new_account_signs_up_without_a_second_mail_and_comes_back(invite, valkey, client):
    path = invite("dora@example.org")
    page = client.get(path)
    assert f"{reverse('account_signup')}?next={path}" in page.text
    answer = client.post(reverse("account_signup"), {**SIGN_UP, "next": path})
    assert (answer.status_code, answer["Location"]) == (302, path)
    assert EmailAddress.objects.get(email="dora@example.org").verified
    assert client.post(path).status_code == 302
    assert Membership.objects.get(user__email="dora@example.org").role == Role.MEMBER


def test_the_link_confirms_no_other_address_and_ties_up_none(invite, valkey, client):
    path = invite("dora@example.org")
    client.get(path)
    assert "email address that was invited" in client.get(reverse("account_signup")).text
    answer = client.post(reverse("account_signup"), {**SIGN_UP, "email": "eve@example.org", "next": path})
    assert answer["Location"] == reverse("account_email_verification_sent")
    assert not EmailAddress.objects.get(email="eve@example.org").verified
    assert User.objects.get(email="eve@example.org").last_login is None
    assert not EmailAddress.objects.filter(email="dora@example.org").exists()
    assert not User.objects.filter(email="dora@example.org").exists()
    # Nor does it in the same browser later: only following the link again does.
    client.post(reverse("account_signup"), SIGN_UP)
    assert not EmailAddress.objects.get(email="dora@example.org").verified


def test_a_link_that_was_withdrawn_meanwhile_confirms_no_address(invite, owner, valkey, client):
    client.get(invite("dora@example.org"))
    members.withdraw(Invitation.objects.get(), by=owner)
    client.post(reverse("account_signup"), SIGN_UP)
    assert not EmailAddress.objects.get(email="dora@example.org").verified


def test_the_page_says_the_same_whether_an_account_exists(invite, client):
    User.objects.create_user("dora@example.org")
    with_account = client.get(invite("dora@example.org")).text
    without = client.get(invite("eve@example.org")).text
    scrub = re.compile(
        r"/invitations/[\w.-]+/|nonce=\"[^\"]+\"|value=\"[^\"]+\"|datetime=\"[^\"]+\"|title=\"[^\"]+\""
    )
    assert scrub.sub("", with_account) == scrub.sub("", without)


@pytest.mark.parametrize("ending", ["withdrawn", "expired", "resent", "deleted workspace"])
def test_a_link_that_ended_opens_nothing(invite, owner, acme, ending):
    path = invite("dora@example.org")
    invitation = Invitation.objects.get()
    if ending == "withdrawn":
        members.withdraw(invitation, by=owner)
    elif ending == "expired":
        Invitation.objects.update(expires_at=timezone.now())
    elif ending == "resent":
        Invitation.objects.update(expires_at=timezone.now() + timedelta(days=3))
        members.resend(invitation, by=owner)
    else:
        type(acme).objects.update(deleted_at=timezone.now())
    dora = browser_of(User.objects.create_user("dora@example.org"))
    assert dora.get(path).status_code == 404
    assert dora.post(path).status_code == 404
    assert not Membership.objects.filter(user__email="dora@example.org").exists()


def test_mail_is_bounded_whatever_becomes_of_the_invitations(invite, owner, monkeypatch):
    monkeypatch.setattr(members, "MAX_MAILS_A_DAY", 2)
    for _ in range(2):
        owner.audit("invitation.created", owner.tenant)  # what the log says is no mail
    invite("a@example.org")
    with pytest.raises(members.MailedJustNow):
        members.resend(Invitation.objects.get(), by=owner)
    invite("b@example.org")
    Invitation.objects.all().delete()  # withdrawing gives no mail back
    with pytest.raises(members.TooManyMails):
        members.invite("c@example.org", Role.MEMBER, by=owner)


def test_members_and_the_invited_are_not_invited_again(invite, owner, bob):
    with pytest.raises(members.AlreadyMember):
        members.invite("BOB@example.org", Role.MEMBER, by=owner)
    invite("dora@example.org")
    with pytest.raises(members.AlreadyInvited):
        members.invite("Dora@example.org", Role.MEMBER, by=owner)


def test_only_an_owner_invites_owners(acme, bob):
    admin = Access(tenant=acme, user=bob, role=Role.ADMIN)
    with pytest.raises(RoleNotAllowed):
        members.invite("dora@example.org", Role.OWNER, by=admin)
    assert members.invite("dora@example.org", Role.ADMIN, by=admin).role == Role.ADMIN


def test_no_request_waits_for_the_mail_server_and_the_page_says_how_far_an_invitation_is(
    alice_client, monkeypatch
):
    fail = Mock(side_effect=OSError("no route"))
    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", fail)
    team = reverse("accounts:team")
    alice_client.post(reverse("accounts:invite"), {"email": "dora@example.org", "role": "member"})
    fail.assert_not_called()
    assert sending.send_due() == 0
    fail.assert_called_once()
    assert Invitation.objects.get().mailed_at is None
    assert "Sending" in alice_client.get(team).text  # again in a minute, for a day
    NoticeMail.objects.update(status=NoticeMail.Status.FAILED)
    assert "Not sent. Resend it" in alice_client.get(team).text


def test_old_invitations_are_pruned(invite):
    invite("dora@example.org")
    invite("eve@example.org")
    old = Invitation.objects.filter(email="dora@example.org")
    old.update(expires_at=timezone.now() - timedelta(days=8))
    assert delete_old("Invitation", timezone.now()) == 1
    assert Invitation.objects.get().email == "eve@example.org"
