"""Our part of allauth: the page after a login, its mails, invited addresses, lock-outs, a review of API keys.

The review comes after an account changed hands.
"""

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _
from redis.exceptions import LockError
from zxcvbn import zxcvbn

from core import valkey
from core.sealing import reseal, seal, unseal
from tenants import current
from tenants.models import Invitation, User
from tenants.persons import BadAddress, keep_person, spell_address

# Browsers in which a person logged in before: wrong passwords from elsewhere do not lock those out.
#
# The cookie names the account and proves its password at that time: a new password ends it. It lets nobody
# in, it only has a count of wrong passwords of its own.

COOKIE = "known_device"
SALT = "tenants.known-device"
COOKIE_LASTS_S = 180 * 24 * 3600


def remember_device(response: HttpResponse, user: User) -> None:
    """Give the browser in which a person has just logged in its cookie."""
    value = signing.dumps([str(user.pk), user.get_session_auth_hash(), secrets.token_urlsafe(12)], salt=SALT)
    response.set_cookie(
        COOKIE,
        value,
        max_age=COOKIE_LASTS_S,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def read_device(request: HttpRequest, email: str) -> str | None:
    """Return the id of the request's device if this account logged in there with today's password."""
    try:
        user_id, password_proof, device_id = signing.loads(
            request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=COOKIE_LASTS_S
        )
    except (signing.BadSignature, ValueError):
        return None
    user = User.objects.filter(pk=user_id, email__iexact=email).first()
    if user is None or not constant_time_compare(password_proof, user.get_session_auth_hash()):
        return None
    return str(device_id)


# What allauth.mfa keeps: secrets of authenticator apps and seeds of recovery codes, encrypted.

PURPOSE = b"polyscribe: second factors"
SECRETS = ("secret", "seed")  # where allauth keeps an app's secret, and what recovery codes derive from


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Second factors that a copy of the database does not give away."""

    def encrypt(self, text: str) -> str:
        return seal(text, purpose=PURPOSE)

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(encrypted_text, purpose=PURPOSE)


def reseal_factor(factor: Authenticator) -> None:
    """Encrypt a second factor under the current pepper's key. Raises fernet.InvalidToken."""
    for name in SECRETS:
        if name in factor.data:
            factor.data[name] = reseal(factor.data[name], purpose=PURPOSE)
    factor.save(update_fields=["data"])


# How hard a password must be to guess.

MIN_SCORE = 3  # of 4: more than 10⁸ guesses, zxcvbn's "safely unguessable" against a stolen hash
MAX_CHARACTERS = 72  # zxcvbn reads no more, and its time grows with the square of the length


class StrengthValidator:
    """Refuse a password that is easy to guess. A guesser knows the person's name and address."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Raise ValidationError with what makes the password easy to guess."""
        known_words = ["polyscribe"]
        if user is not None:
            known_words += [user.email, *user.email.split("@"), user.first_name, user.last_name]
        guessing = zxcvbn(password[:MAX_CHARACTERS], user_inputs=list(filter(None, known_words)))
        if guessing["score"] >= MIN_SCORE:
            return
        feedback = guessing["feedback"]
        # As foreign_messages lists them.
        sentences = [gettext(said) for said in (feedback["warning"], *feedback["suggestions"]) if said]
        advice = " ".join(sentences) or gettext("Add another word or two.")
        raise ValidationError(
            gettext("This password is easy to guess. {advice}").format(advice=advice),
            code="password_too_weak",
        )

    def get_help_text(self) -> str:
        """Return what a good password is."""
        return gettext("Three or four uncommon words are easy to remember and hard to guess.")


# Messages of other packages, to the letter, that our catalogues translate: they have none, or say "du".

# What zxcvbn/feedback.py says of a password that is easy to guess.
PASSWORD_ADVICE = (
    gettext_noop("Use a few words, avoid common phrases."),
    gettext_noop("No need for symbols, digits, or uppercase letters."),
    gettext_noop("Add another word or two. Uncommon words are better."),
    gettext_noop("Straight rows of keys are easy to guess."),
    gettext_noop("Short keyboard patterns are easy to guess."),
    gettext_noop("Use a longer keyboard pattern with more turns."),
    gettext_noop('Repeats like "aaa" are easy to guess.'),
    gettext_noop('Repeats like "abcabcabc" are only slightly harder to guess than "abc".'),
    gettext_noop("Avoid repeated words and characters."),
    gettext_noop('Sequences like "abc" or "6543" are easy to guess.'),
    gettext_noop("Avoid sequences."),
    gettext_noop("Recent years are easy to guess."),
    gettext_noop("Avoid recent years."),
    gettext_noop("Avoid years that are associated with you."),
    gettext_noop("Dates are often easy to guess."),
    gettext_noop("Avoid dates and years that are associated with you."),
    gettext_noop("This is a top-10 common password."),
    gettext_noop("This is a top-100 common password."),
    gettext_noop("This is a very common password."),
    gettext_noop("This is similar to a commonly used password."),
    gettext_noop("A word by itself is easy to guess."),
    gettext_noop("Names and surnames by themselves are easy to guess."),
    gettext_noop("Common names and surnames are easy to guess."),
    gettext_noop("Capitalization doesn't help very much."),
    gettext_noop("All-uppercase is almost as easy to guess as all-lowercase."),
    gettext_noop("Reversed words aren't much harder to guess."),
    gettext_noop("Predictable substitutions like '@' instead of 'a' don't help very much."),
)

# django-allauth's German says "du".
ALLAUTH = (
    gettext_noop("Be patient, you are sending too many requests."),
    gettext_noop("Please type your current password."),
    gettext_noop("You cannot add more than %d email addresses."),
    gettext_noop("You cannot remove your primary email address (%(email)s)."),
    gettext_noop("You cannot remove your primary email address."),
    gettext_noop("You have confirmed %(email)s."),
    gettext_noop("You must type the same email each time."),
    gettext_noop("You must type the same password each time."),
)


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
