"""Our part of allauth: the page after a login, its mails, invited addresses, lock-outs, a review of API keys.

The review comes after an account changed hands.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from redis.exceptions import LockError

from accounts.known_devices import read_device, remember_device
from core import valkey
from tenants import current
from tenants.models import Invitation, User
from tenants.persons import BadAddress, keep_person, spell_address

logger = logging.getLogger(__name__)

TURN_WAIT_S = 5.0  # a password takes some 0.2 s to check, and five wrong ones lock an account
TURN_LASTS_S = 10.0
TURN_POLL_S = 0.02


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth's behaviour, with a review of API keys after an account changed hands."""

    error_messages: ClassVar[dict[str, object]] = {
        **DefaultAccountAdapter.error_messages,
        # ACCOUNT_RATE_LIMITS, `login_failed`: an account's five tries come back within five minutes.
        "too_many_login_attempts": _(
            "Too many failed login attempts for this account. Try again in 5 minutes, or reset your password."
        ),
    }

    def clean_email(self, email: str) -> str:
        """Return the one spelling of an address. Raises ValidationError for one that is a second name."""
        try:
            return spell_address(email)
        except BadAddress as error:
            raise ValidationError(error.message) from error

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Mark an address as confirmed. If it replaces another one, ask for a review of the keys."""
        others = EmailAddress.objects.filter(user_id=email_address.user_id, verified=True)
        replaces = others.exclude(pk=email_address.pk).exists()
        keep_person(email_address.user)  # a new address is no new person
        confirmed: bool = super().confirm_email(request, email_address)
        if confirmed and replaces:
            ask_to_review_keys(email_address.user)
        return confirmed

    def is_email_verified(self, request: HttpRequest, email: str) -> bool:
        """Return whether an open invitation's link, followed in this browser, was mailed to an address."""
        if not super().is_email_verified(request, email):
            return False
        return bool(Invitation.objects.open(timezone.now()).filter(email__iexact=email).exists())

    def unstash_verified_email(self, request: HttpRequest) -> str | None:
        """Return None: the invited address is no address of an account that signs up with another one."""
        return None

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """Return whose password it is. Attempts from an address, and those to an account, take turns.

        allauth counts an attempt before the password is checked, and takes it back if that is right. Of many
        right ones at once, those being checked would count as failures, and the account would be locked.
        """
        email = credentials.get("email", "")
        address = self.get_client_ip(request)
        account = _counted_as(email, read_device(request, email))
        with _turn("ip", address), _turn("account", account):
            user: AbstractBaseUser | None = super().authenticate(request, **credentials)
        return user

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count the attempt: a known device by itself, all others together. Raises ValidationError.

        Else five wrong passwords from anywhere would lock out the owner.
        """
        email = credentials.get("email", "")
        device_id = read_device(request, email)
        credentials["email"] = _counted_as(email, device_id)
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            report_lockout(email, is_known_device=device_id is not None)
            raise

    def post_login(self, request: HttpRequest, user: User, **options: Any) -> HttpResponse:
        """Return the answer to a login: the browser is a known device then, with an open workspace."""
        current.begin_session(request)
        response: HttpResponse = super().post_login(request, user, **options)
        remember_device(response, user)
        return response

    def render_mail(
        self,
        template_prefix: str,
        email: str | list[str],
        context: dict[str, object],
        headers: dict[str, str] | None = None,
    ) -> EmailMessage:
        """Return a mail about an account: its text, and the same in HTML with the look of our notices."""
        message: EmailMessage = super().render_mail(template_prefix, email, context, headers)
        message.extra_headers.setdefault("Auto-Submitted", "auto-generated")
        if isinstance(message, EmailMultiAlternatives) and not message.alternatives:
            html_context = {"text": message.body, "site_url": settings.SITE_URL}
            message.attach_alternative(render_to_string("mail/text.html", html_context), "text/html")
        return message

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Return the first page after a login: the keys, while a review is due."""
        user = request.user
        if isinstance(user, User) and user.review_keys_since is not None:
            return reverse("keys:keys")
        return str(super().get_login_redirect_url(request))


def _counted_as(email: str, device_id: str | None) -> str:
    """Return under which name attempts are counted: a known device has its own."""
    return f"{device_id}:{email}" if device_id else email


@contextmanager
def _turn(kind: str, name: str) -> Iterator[None]:
    """Wait while another attempt of the same kind and name is checked.

    After `TURN_WAIT_S` it goes on beside the other: then it may be refused in vain, and never let through.
    """
    key = valkey.login_turn_key(kind, sha256(name.lower().encode(errors="replace")).hexdigest())
    turn = valkey.client().lock(key, timeout=TURN_LASTS_S, blocking_timeout=TURN_WAIT_S, sleep=TURN_POLL_S)
    is_held = turn.acquire()
    try:
        yield
    finally:
        if is_held:
            with suppress(LockError):  # it took longer than the lock lasts
                turn.release()


def report_lockout(email: str, *, is_known_device: bool) -> None:
    """Tell operators, by log and metric, that passwords of an account are guessed."""
    user_id = User.objects.filter(email__iexact=email).values_list("pk", flat=True).first()
    logger.warning("login_locked_out user=%s is_known_device=%s", user_id, is_known_device)
    valkey.client().incr(valkey.login_lockouts_key())


def ask_to_review_keys(user: User) -> None:
    """Ask a person to review the API keys made until now: a former owner may know their secrets."""
    user.review_keys_since = timezone.now()
    user.save(update_fields=["review_keys_since"])


def end_review_of_keys(user: User) -> None:
    """Mark the review of keys as done."""
    user.review_keys_since = None
    user.save(update_fields=["review_keys_since"])
