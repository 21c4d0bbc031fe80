"""A person owns one workspace on the free plan at a time, and one a month."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import deletion, members, workspaces
from accounts.subscriptions import FreePlanTaken, FreePlanUsed, OwnsOtherFreeWorkspace, subscribe_tenant
from billing.plan_changes import change_plan
from core import months
from metering import plans
from metering.models import LedgerEntry
from tenants.access import access_of_person
from tenants.invitation_links import token_of
from tenants.models import Invitation, Membership, User
from tenants.persons import keep_person
from tests.racing import race
from tests.tenants.builders import browser_of


@pytest.fixture
def beta(alice):
    """Another workspace of Alice, from before this rule."""
    return workspaces.create_tenant(alice, name="Beta")


def pays(tenant):
    return subscribe_tenant(tenant, plans.newest_plan_version("writer"))


def used(tenant):
    LedgerEntry.objects.create(
        tenant=tenant, kind="usage", source_id="r", period=months.current(), amount_nanousd=5, tokens=5
    )


def found(user, name="Second"):
    return workspaces.create_own_tenant(user, name=name)


def test_a_second_free_workspace_asks_for_a_paid_plan_of_the_first(alice, acme):
    with pytest.raises(FreePlanTaken, match="you have one: Acme"):
        found(alice)
    pays(acme)
    found(alice)
    with pytest.raises(FreePlanTaken, match="Second"):
        found(alice, "Third")


def test_the_same_mailbox_under_another_account_and_address_is_the_same_person(alice, acme):
    keep_person(alice)
    other = User.objects.create_user(alice.email.replace("@", "+2@"))
    User.objects.filter(pk=alice.pk).update(email="other@example.net")
    with pytest.raises(FreePlanTaken):
        found(other)
    found(User.objects.create_user("dora@example.org"))


def test_a_plan_that_is_to_become_free_counts_as_free(owner, acme, alice):
    pays(acme)
    change_plan("free", by=owner)  # with the next month
    with pytest.raises(FreePlanTaken):
        found(alice)


def test_a_deleted_workspace_counts_until_the_month_ends_if_it_was_used(owner, acme, alice, monkeypatch):
    deletion.delete_at_once(owner)
    second = found(alice)
    used(second)
    deletion.delete_at_once(access_of_person(alice, second, address=None))
    with pytest.raises(FreePlanUsed, match="Second, which you deleted"):
        found(alice, "Third")
    _, month_ends = months.bounds(months.current())
    monkeypatch.setattr(timezone, "now", lambda: month_ends)
    found(alice, "Third")


def test_a_new_account_for_the_same_mailbox_has_no_new_month(acme, alice):
    used(acme)
    email = alice.email
    deletion.delete_account(alice, address=None)
    with pytest.raises(FreePlanUsed):
        found(User.objects.create_user(email))


def test_a_workspace_that_was_paid_when_it_was_deleted_took_no_free_tokens(owner, acme, alice):
    acme.subscriptions.update(starts_at=timezone.now() - timedelta(days=90))
    begun, _ = months.bounds(months.current())
    subscribe_tenant(acme, plans.newest_plan_version("writer"), at=begun - timedelta(days=1))
    used(acme)
    deletion.delete_at_once(owner)
    found(alice)


def test_who_has_a_free_workspace_becomes_no_owner_of_another(owner, acme, bobs, beta):
    bob = bobs.user
    found(bob, "Bob's")
    for become_owner in (
        lambda: members.change_role(bobs, "owner", by=owner),
        lambda: members.transfer_ownership(bobs, by=owner),
    ):
        with pytest.raises(OwnsOtherFreeWorkspace, match=f"{bob.email} already owns one"):
            become_owner()
    pays(acme)
    members.change_role(bobs, "owner", by=owner)
    with pytest.raises(OwnsOtherFreeWorkspace):
        change_plan("free", by=owner)


def test_an_invitation_as_owner_is_refused_and_stays_open(owner, acme):
    dora = User.objects.create_user("dora@example.org")
    found(dora, "Dora's")
    invitation = members.invite(dora.email, "owner", by=owner)
    with pytest.raises(FreePlanTaken, match="Dora's"):
        members.accept(invitation, dora, address=None)
    assert Invitation.objects.get() == invitation
    assert not Membership.objects.filter(tenant=acme, user=dora).exists()


def test_the_page_of_an_invitation_says_why_its_owner_to_be_can_not_join(owner, acme):
    dora = User.objects.create_user("dora@example.org")
    found(dora, "Dora's")
    invitation = members.invite(dora.email, "owner", by=owner)
    page = reverse("accounts:join", args=[token_of(invitation)])
    answer = browser_of(dora).post(page, follow=True)
    assert answer.status_code == 200
    assert "you have one: Dora&#x27;s" in answer.text
    assert not Membership.objects.filter(tenant=acme, user=dora).exists()


def test_what_a_person_owned_before_goes_on(alice, acme, beta):
    assert {plans.limits_of(one, timezone.now()).plan for one in (acme, beta)} == {"free"}
    assert plans.limits_of(beta, timezone.now()).monthly_tokens == 200_000


@pytest.mark.django_db(transaction=True)
def test_two_at_once_are_one():
    dora = User.objects.create_user("dora@example.org")
    outcomes = race(*[lambda: _try(dora)] * 2)
    assert sorted(outcomes) == ["FreePlanTaken", "done"]


def _try(user):
    try:
        found(user, f"W{timezone.now():%f}")
    except FreePlanTaken as refusal:
        return type(refusal).__name__
    return "done"


def test_the_page_says_it_before_anything_is_typed(alice_client, acme):
    page = alice_client.get(reverse("website:create_workspace"))
    assert "you have one: Acme" in page.text
    assert reverse("billing:plan") in page.text
    answer = alice_client.post(reverse("website:create_workspace"), {"workspace": "Second"})
    assert answer.status_code == 400
    assert "you have one: Acme" in answer.text
