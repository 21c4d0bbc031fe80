"""What every form does with what was typed, and with a refusal."""

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from tenants.models import Invitation, Membership

pytestmark = pytest.mark.django_db
Role = Membership.Role


def test_a_refusal_stands_beside_its_field_and_nothing_typed_is_lost(alice_client, bob):
    answer = alice_client.post(reverse("accounts:invite"), {"email": bob.email, "role": Role.VIEWER})
    assert answer.status_code == 400
    form = answer.context["form"]
    assert form.errors == {"email": [f"{bob.email} is already a member."]}
    assert (form["email"].value(), form["role"].value()) == (bob.email, Role.VIEWER)
    assert not Invitation.objects.exists()


def test_a_form_that_is_wrong_calls_nothing(alice_client):
    answer = alice_client.post(reverse("accounts:invite"), {"email": "eve", "role": Role.VIEWER})
    assert (answer.status_code, answer.context["form"]["email"].value()) == (400, "eve")
    assert not Invitation.objects.exists()


def test_without_a_form_the_next_page_says_why_it_was_refused(alice, alice_client):
    own = Membership.objects.get(user=alice)
    answer = alice_client.post(reverse("accounts:remove_member", args=[own.pk]))
    assert answer["Location"] == reverse("accounts:member", args=[own.pk])
    [said] = get_messages(answer.wsgi_request)
    assert (said.level_tag, "at least one owner" in said.message) == ("error", True)


def test_what_a_person_may_not_do_is_a_403_that_says_who_can(alice, acme, bob, bob_client):
    Membership.objects.filter(user=bob).update(role=Role.ADMIN)
    owner = Membership.objects.get(user=alice, tenant=acme)
    answer = bob_client.post(reverse("accounts:remove_member", args=[owner.pk]))
    assert answer.status_code == 403
    assert "Only owners can" in answer.text


def test_it_takes_forms_alone(alice_client):
    assert alice_client.get(reverse("accounts:invite")).status_code == 405
