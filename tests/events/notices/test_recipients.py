"""Who hears of what: by role, by what they made, and by their own choice."""

import pytest
from django.db import transaction

from accounts.workspaces import suspend_tenant
from events.models import EventType, NoticeKind, NoticeMail
from events.notices import catalog
from events.notices.catalog import ALWAYS_SENT, NOTICES, Audience, queue_mails
from tenants.models import Membership, User
from tests.tenants.builders import issue_key

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("charlie")]

Role = Membership.Role
ALICE, BOB = "alice@example.org", "bob@example.org"
OF_MONEY = [
    EventType.USAGE_THRESHOLD_REACHED,
    EventType.INVOICE_FINALIZED,
    EventType.CREDIT_NOTE_ISSUED,
    EventType.PLAN_CHANGED,
    EventType.PAYMENT_FAILED,
]


@pytest.mark.parametrize(
    ("event_type", "changes", "told"),
    [
        (EventType.USAGE_THRESHOLD_REACHED, {}, {ALICE}),
        (EventType.WEBHOOK_DISABLED, {}, {ALICE}),
        (EventType.VERSION_REJECTED, {}, {BOB}),
        (EventType.VERSION_REJECTED, {"created_by": None}, {ALICE}),
        (EventType.VERSION_FAILED, {"created_by": "charlie@example.org"}, {ALICE}),
        (EventType.KEY_CREATED, {}, {ALICE, BOB}),
        (EventType.KEY_CREATED, {"created_by": None}, {ALICE}),
        (EventType.KEY_REVOKED, {"created_by": "charlie@example.org"}, {ALICE}),
        (EventType.STYLE_SHARED, {}, {ALICE, BOB}),
        (EventType.WORKSPACE_SUSPENDED, {}, {ALICE, BOB}),
        (EventType.WORKSPACE_DELETION_REQUESTED, {}, {ALICE}),
        (EventType.CANARY_ENDED, {}, {ALICE, BOB}),
        (EventType.CANARY_ENDED, {"is_automatic": False}, set()),
    ],
)
def test_an_event_is_told_to_those_whom_it_concerns(happen, addressed, event_type, changes, told):
    assert addressed(happen(event_type, **changes)) == told


@pytest.mark.parametrize(
    ("event_types", "roles"),
    [
        (OF_MONEY, {Role.ADMIN, Role.BILLING}),
        ([EventType.WEBHOOK_DISABLED, EventType.KEY_CREATED, EventType.KEY_REVOKED], {Role.ADMIN}),
    ],
)
def test_admins_hear_what_owners_hear_and_billing_managers_of_money(
    happen, addressed, acme, event_types, roles
):
    for role in (Role.ADMIN, Role.BILLING, Role.VIEWER):
        person = User.objects.create_user(f"{role}@example.org")
        Membership.objects.create(user=person, tenant=acme, role=role)
    hear = {ALICE, *(f"{role}@example.org" for role in roles)}
    for event_type in event_types:
        assert addressed(happen(event_type)) - {BOB} == hear, event_type


def test_a_member_who_switched_a_kind_off_hears_nothing_of_it_and_everything_else(happen, addressed, bob):
    place = Membership.objects.get(user=bob)
    catalog.choose_kinds(place, [kind for kind in NoticeKind if kind != NoticeKind.SHARES])
    assert addressed(happen(EventType.STYLE_SHARED)) == {ALICE}
    assert addressed(happen(EventType.STYLE_OFFER_DECIDED)) == {ALICE, BOB}


def test_what_is_about_security_reaches_even_those_who_switched_everything_off(happen, addressed, bob):
    catalog.choose_kinds(Membership.objects.get(user=bob), [])
    for event_type, notice in NOTICES.items():
        is_told = notice.kind in ALWAYS_SENT and notice.audience is not Audience.OWNERS
        assert (BOB in addressed(happen(event_type))) == is_told, event_type


def test_an_account_that_is_closed_gets_nothing(happen, addressed, bob):
    bob.is_active = False
    bob.save()
    assert addressed(happen(EventType.WORKSPACE_SUSPENDED)) == {ALICE}


def test_an_event_is_told_once_a_member(happen, addressed):
    event = happen(EventType.STYLE_SHARED)
    queue_mails(event)
    assert event.mails.count() == 2


def test_actions_are_told_in_their_own_transaction_or_not_at_all(acme, bob):
    issue_key(acme, name="laptop", by=bob)
    suspend_tenant(acme)
    told = NoticeMail.objects.order_by("pk").values_list("kind", flat=True)
    assert sorted(told) == ["keys", "keys", "workspace", "workspace"]
    before = NoticeMail.objects.count()
    with transaction.atomic():
        issue_key(acme, name="phone", by=bob)
        transaction.set_rollback(True)
    assert NoticeMail.objects.count() == before
