"""Who gets into the console, and for how long."""

import time

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.test import Client
from django.urls import reverse

from operations.console import operators
from tenants.models import AuditEntry, User

PASSWORD = "a long winding road"
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture(autouse=True)
def _second_factor(settings):
    settings.OPERATOR_MFA = True


@pytest.fixture
def browser(operator) -> Client:
    """The operator, logged in by password."""
    operator.set_password(PASSWORD)
    operator.save()
    EmailAddress.objects.create(user=operator, email=operator.email, verified=True, primary=True)
    client = Client()
    client.post(reverse("account_login"), {"login": operator.email, "password": PASSWORD})
    return client


def code(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time())))


def test_an_operator_without_a_second_factor_is_sent_to_set_one_up(browser):
    assert "login" in browser.get("/console/")["Location"]
    redirect = browser.get("/console/login/")
    assert redirect["Location"] == reverse("mfa_index")
    assert browser.get("/console/tenants/tenant/").status_code == 302

    assert browser.get(reverse("mfa_activate_totp"))["Location"].startswith(reverse("account_reauthenticate"))
    browser.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    secret = browser.get(reverse("mfa_activate_totp")).context["form"].secret
    browser.post(reverse("mfa_activate_totp"), {"code": code(secret)})
    asked = browser.get("/console/login/")["Location"]
    assert asked.startswith(reverse("mfa_reauthenticate"))
    assert browser.post(asked, {"code": code(secret)})["Location"] == "/console/"
    assert browser.get("/console/").status_code == 200


def test_a_password_alone_opens_nothing_once_there_is_a_second_factor(browser, operator):
    secret = generate_totp_secret()
    TOTP.activate(operator, secret)
    assert browser.get("/console/").status_code == 302, "the session before it was by password alone"
    again = Client()
    form = {"login": operator.email, "password": PASSWORD}
    assert again.post(reverse("account_login"), form)["Location"] == reverse("mfa_authenticate")
    assert again.get("/console/").status_code == 302
    again.post(reverse("mfa_authenticate"), {"code": code(secret)})
    assert again.get("/console/").status_code == 200


def test_a_session_ends_with_the_second_factor_that_it_showed(browser, operator):
    secret = generate_totp_secret()
    phone = TOTP.activate(operator, secret).instance
    browser.post(browser.get("/console/login/")["Location"], {"code": code(secret)})
    assert browser.get("/console/").status_code == 200
    Authenticator.objects.create(user=operator, type=Authenticator.Type.WEBAUTHN, data={"name": "key"})
    phone.delete()
    assert browser.get("/console/").status_code == 302
    assert browser.get("/console/login/")["Location"].startswith(reverse("mfa_reauthenticate_webauthn"))


def test_a_lost_factor_goes_with_the_recovery_codes_and_an_open_impersonation(
    browser, operator, acme, settings
):
    factor = TOTP.activate(operator, generate_totp_secret()).instance
    codes = RecoveryCodes.activate(operator)
    browser.post(browser.get("/console/login/")["Location"], {"code": codes.get_unused_codes()[0]})
    assert browser.get("/console/").status_code == 200
    sure = {"confirmed": "1", "why": "ticket 12"}
    browser.post(reverse("admin:tenants_tenant_impersonate", args=[acme.pk]), sure)
    assert browser.get(reverse("website:settings")).status_code == 200

    settings.OPERATOR_MFA = False  # of the colleague's session
    colleague = User.objects.create_superuser("colleague@example.org")
    console = Client()
    console.force_login(colleague, backend="allauth.account.auth_backends.AuthenticationBackend")
    remove = {"action": "remove", "_selected_action": [factor.pk], "confirmed": "1", "why": "Stolen phone"}
    assert console.post(reverse("admin:mfa_authenticator_changelist"), remove).status_code == 302
    settings.OPERATOR_MFA = True

    assert not Authenticator.objects.filter(user=operator).exists()
    assert browser.get(reverse("website:settings")).status_code == 302
    assert browser.get("/console/").status_code == 302
    assert AuditEntry.objects.get(action="impersonation.ended").reason == "The second factor was removed."


def test_a_session_of_an_operator_ends_after_eight_hours_whatever_was_done(
    settings, operator_client, alice_client, monkeypatch
):
    settings.OPERATOR_MFA = False
    began = time.time()
    for hours, status in [(0, 200), (4, 200), (7.9, 200), (8.1, 302)]:
        monkeypatch.setattr(operators.time, "time", lambda hours=hours: began + hours * 3600)
        assert operator_client.get("/console/").status_code == status
        assert alice_client.get(reverse("keys:keys")).status_code == 200


def test_an_operators_password_is_changed_where_everybodys_is(settings, operator, operator_client):
    """The console's own page counts no guesses of the old password and mails nobody."""
    settings.OPERATOR_MFA = False
    operator.set_password(PASSWORD)
    operator.save()
    operator_client.force_login(operator, backend="allauth.account.auth_backends.AuthenticationBackend")
    new = {"old_password": PASSWORD, "new_password1": f"{PASSWORD} on", "new_password2": f"{PASSWORD} on"}
    for method in (operator_client.get, operator_client.post):
        assert method("/console/password_change/", new)["Location"] == reverse("account_change_password")
    operator.refresh_from_db()
    assert operator.check_password(PASSWORD)


def test_passkey_pages_keep_the_strict_policy(browser):
    browser.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    for name in ("mfa_index", "mfa_add_webauthn", "mfa_activate_totp"):
        page = browser.get(reverse(name))
        assert page.status_code == 200
        assert "unsafe" not in page.headers["Content-Security-Policy"]
        assert "<script>" not in page.text
        assert " style=" not in page.text
