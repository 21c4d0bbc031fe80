"""Mail about accounts comes from allauth: in our words, and with the look of the notices."""

from pathlib import Path

import allauth
import pytest
from allauth.account.adapter import get_adapter
from allauth.core import context as allauth_context
from django.template.loader import get_template
from django.test import RequestFactory

PACKAGE = Path(allauth.__file__).parent / "templates"
# Of codes that are mailed instead of links: not in use here.
UNUSED = {"account/email/login_code", "account/email/password_reset_code"}
OURS = Path(__file__).parents[3] / "templates"


def mails_of_allauth() -> list[str]:
    files = [*PACKAGE.glob("account/email/*_subject.txt"), *PACKAGE.glob("mfa/email/*_subject.txt")]
    names = {str(file.relative_to(PACKAGE)).removesuffix("_subject.txt") for file in files}
    return sorted(names - UNUSED)


@pytest.mark.parametrize("name", mails_of_allauth())
def test_each_mail_has_our_subject_and_our_look(name, settings):
    subject = get_template(f"{name}_subject.txt").origin.name
    assert Path(subject).is_relative_to(OURS), "its subject is allauth's"
    facts = {
        "user_agent": "Evil <script>",
        "from_email": "a@example.org",
        "to_email": "b@example.org",
        "activate_url": "https://example.org/confirm/1/",
        "password_reset_url": "https://example.org/reset/1/",
    }
    with allauth_context.request_context(RequestFactory().get("/")):
        letter = get_adapter().render_mail(name, "dora@example.org", facts)
    [alternative] = letter.alternatives
    html = alternative.content
    assert letter.subject.startswith("Polyscribe: ")
    assert alternative.mimetype == "text/html"
    assert "prefers-color-scheme: dark" in html
    assert settings.SITE_URL in html
    assert "<script" not in html
    first_line = letter.body.strip().splitlines()[0]
    assert first_line.partition(" from ")[0] in html
    if "https://example.org/" in letter.body:
        assert '<a href="https://example.org/' in html
