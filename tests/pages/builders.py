"""What several tests of pages use."""

from pathlib import Path

from allauth.account.models import EmailAddress
from django.test import Client

from tenants.models import User

PASSWORD = "correct horse battery staple"


def is_whole_page(client: Client, address: str) -> bool:
    """Return whether an address shows a page of its own: no redirect, no file, no part of a page."""
    if Path(address).suffix:  # a file that is not there shows the page of what is not there
        return False
    answer = client.get(address)
    if answer.status_code not in (200, 404) or "text/html" not in answer.headers.get("Content-Type", ""):
        return False
    return not answer.streaming and "<html" in answer.text


def give_password(user: User, *, is_verified: bool = False) -> EmailAddress:
    """Let a user log in by a form; return the email address."""
    user.set_password(PASSWORD)
    user.save()
    return EmailAddress.objects.create(user=user, email=user.email, verified=is_verified, primary=True)
