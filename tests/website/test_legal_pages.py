"""Terms and privacy are for visitors once an operator filled them in."""

import pytest
from django.urls import reverse

PAGES = ["terms", "privacy"]


@pytest.fixture
def filled_in(settings) -> None:
    settings.OPERATOR_NAME = "Ink & Sons"
    settings.OPERATOR_ADDRESS = "1 Quill Street\nOxford"
    settings.OPERATOR_EMAIL = "hello@example.com"


@pytest.mark.django_db
@pytest.mark.parametrize("name", PAGES)
def test_an_unfinished_page_is_for_operators_alone(client, alice_client, operator_client, settings, name):
    settings.OPERATOR_NAME = "Ink & Sons"
    address = reverse(name)
    assert client.get(address).status_code == 404
    assert alice_client.get(address).status_code == 404
    page = operator_client.get(address)
    assert page.status_code == 200
    assert "Not filled in yet" in page.text
    assert "OPERATOR_EMAIL" in page.text
    assert address not in client.get("/").text


@pytest.mark.django_db
@pytest.mark.usefixtures("filled_in")
@pytest.mark.parametrize("name", PAGES)
def test_a_filled_in_page_names_who_runs_the_site(client, name):
    page = client.get(reverse(name)).text
    assert "Ink &amp; Sons" in page
    assert "1 Quill Street<br>Oxford" in page
    assert "Not filled in" not in page
    assert reverse(name) in client.get("/").text


@pytest.mark.django_db
@pytest.mark.usefixtures("filled_in")
@pytest.mark.parametrize("name", PAGES)
def test_a_demos_page_says_that_it_is_one(client, settings, name):
    settings.MAILBOX = False
    assert "This is a demo." not in client.get(reverse(name)).text
    settings.MAILBOX = True
    assert "This is a demo." in client.get(reverse(name)).text


@pytest.mark.django_db
@pytest.mark.usefixtures("filled_in")
def test_the_law_is_that_of_the_address_unless_a_setting_names_another(client, settings):
    terms = reverse("terms")
    assert "The law of the country of the address above applies." in client.get(terms).text
    settings.OPERATOR_LAW = "Ireland"
    assert "The law of Ireland applies." in client.get(terms).text
    page = client.get(terms, headers={"Accept-Language": "de"}).text
    assert "Es gilt das Recht des folgenden Landes: Ireland." in page


@pytest.mark.django_db
@pytest.mark.usefixtures("filled_in")
@pytest.mark.parametrize(("days", "said"), [(400, "400 days, even after"), (0, "indefinitely, even after")])
def test_privacy_says_how_long_the_audit_log_is_kept(client, settings, days, said):
    settings.AUDIT_KEPT_DAYS = days
    assert said in client.get(reverse("privacy")).text


@pytest.mark.django_db
@pytest.mark.usefixtures("filled_in")
@pytest.mark.parametrize(
    ("kept", "said"), [(30, "30 months, and until"), (0, "as long as the law requires invoice")]
)
def test_privacy_says_how_long_the_log_of_requests_is_kept(client, settings, kept, said):
    settings.USAGE_EVENTS_KEPT_MONTHS = kept
    assert said in client.get(reverse("privacy")).text
