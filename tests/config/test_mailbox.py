"""The demo's mailbox, which shows links that log in."""

import pytest
from django.core import mail
from django.core.mail.backends.filebased import EmailBackend
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.fixture
def _mails(settings, tmp_path, operator):
    settings.MAIL_FOLDER = tmp_path
    backend = EmailBackend(file_path=str(tmp_path), alias="default")
    for to in ("dora@example.org", operator.email):
        text = f"Dear {to}: http://127.0.0.1/reset/{to}/"
        backend.send_messages([mail.EmailMessage("Hello", text, "no-reply@example.org", [to])])


@pytest.mark.usefixtures("_mails")
def test_the_mailbox_shows_mail_to_this_machine_but_not_an_operators(client, operator):
    page = client.get("/mailbox/")
    assert page.status_code == 200
    assert "http://127.0.0.1/reset/dora@example.org/" in page.text
    assert operator.email not in page.text


@pytest.mark.usefixtures("_mails")
@pytest.mark.parametrize(
    "elsewhere",
    [
        Client(REMOTE_ADDR="192.0.2.1"),
        Client(headers={"X-Forwarded-For": "192.0.2.1"}),
        Client(REMOTE_ADDR=""),
    ],
)
def test_nobody_else_finds_the_mailbox(elsewhere):
    assert elsewhere.get("/mailbox/").status_code == 404
