"""The search over everything a member can open."""

import pytest
from django.urls import reverse

from tenants.models import Membership

pytestmark = pytest.mark.django_db


def found(client, question: str) -> dict[str, list[str]]:
    page = client.get(reverse("website:search"), {"q": question})
    return {
        str(title): [str(result.label) for result in results] for title, results in page.context["groups"]
    }


def test_a_page_an_action_a_guide_and_an_operation_are_found(alice_client):
    assert "Usage" in found(alice_client, "usage")["Pages"]
    assert "Create an API key" in found(alice_client, "new key")["Actions"]
    assert found(alice_client, "train a style")["Docs"]
    assert "Create an API key" in found(alice_client, "POST /api/v1/keys")["API operations"]


@pytest.mark.parametrize(
    ("question", "title", "label"),
    [
        ("invoice", "Pages", "Invoices"),
        ("trainings", "Pages", "Trainings"),
        ("dark", "Actions", "Theme: dark"),
        ("log out", "Actions", "Log out"),
    ],
)
def test_our_own_pages_and_actions_come_before_documents(alice_client, question, title, label):
    groups = found(alice_client, question)
    assert label in groups[title]
    titles = list(groups)
    assert all(titles.index(title) < titles.index(below) for below in ("Styles", "Docs") if below in titles)


def test_who_may_not_do_it_does_not_find_it(bob, bob_client):
    Membership.objects.filter(user=bob).update(role=Membership.Role.VIEWER)
    assert "Create an API key" not in found(bob_client, "new key").get("Actions", [])
