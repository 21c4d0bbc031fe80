"""The demo's mailbox, which shows links that log in."""

import re

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


@pytest.fixture
def _mail_with_html(settings, tmp_path):
    settings.MAIL_FOLDER = tmp_path
    letter = mail.EmailMultiAlternatives(
        "Näws", "Look: http://127.0.0.1/keys/", "a@example.org", ["dora@example.org"]
    )
    letter.attach_alternative("<style>p { color: red }</style><p>Lo\u00f6k</p>", "text/html")
    EmailBackend(file_path=str(tmp_path), alias="default").send_messages([letter])


@pytest.mark.usefixtures("_mail_with_html")
def test_html_is_shown_beside_its_text_where_its_styles_work_and_nothing_else_does(client, operator):
    page = client.get("/mailbox/").text
    assert '<a href="http://127.0.0.1/keys/"' in page
    assert "<style>p" not in page
    path = re.search(r'href="(/mailbox/\w+/)"', page).group(1)
    shown = client.get(path)
    assert "<p>Loök</p>" in shown.text
    assert shown["Content-Security-Policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "no-store" in shown["Cache-Control"]
    assert Client(REMOTE_ADDR="192.0.2.1").get(path).status_code == 404
    assert client.get("/mailbox/0/").status_code == 404


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
