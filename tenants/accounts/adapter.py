"""Our part of allauth: the page after a login, its mail's look, and a review of API keys.

The review comes after an account changed hands.
"""

from datetime import timedelta
from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenants.models import User

UNCONFIRMED_KEPT = timedelta(days=30)
PRUNE_BATCH_SIZE = 1_000  # accounts; the next run takes the rest


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth's behaviour, with a review of API keys after an account changed hands."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultAccountAdapter.error_messages,
        # ACCOUNT_RATE_LIMITS, `login_failed`: an account's five tries come back within five minutes.
        "too_many_login_attempts": _(
            "Too many failed log-ins for this account. Try again in 5 minutes, or reset your password."
        ),
    }

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Mark an address as confirmed. If it replaces another one, ask for a review of the keys."""
        others = EmailAddress.objects.filter(user_id=email_address.user_id, verified=True)
        replaces = others.exclude(pk=email_address.pk).exists()
        confirmed: bool = super().confirm_email(request, email_address)
        if confirmed and replaces:
            ask_to_review_keys(email_address.user)
        return confirmed

    def render_mail(
        self,
        template_prefix: str,
        email: str | list[str],
        context: dict[str, Any],
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
            return reverse("tenants:keys")
        return str(super().get_login_redirect_url(request))


def prune_unconfirmed() -> int:
    """Delete accounts that nobody confirmed within a month and nobody ever used; return how many."""
    old = User.objects.filter(date_joined__lt=timezone.now() - UNCONFIRMED_KEPT)
    unused = old.filter(last_login=None, memberships=None, is_staff=False)
    unconfirmed = unused.exclude(emailaddress__verified=True)
    user_ids = list(unconfirmed.values_list("pk", flat=True)[:PRUNE_BATCH_SIZE])
    _, deleted = User.objects.filter(pk__in=user_ids).delete()
    return deleted.get("tenants.User", 0)


def ask_to_review_keys(user: User) -> None:
    """Ask a person to review the API keys made until now: a former owner may know their secrets."""
    user.review_keys_since = timezone.now()
    user.save(update_fields=["review_keys_since"])


def end_review_of_keys(user: User) -> None:
    """Mark the review of keys as done."""
    user.review_keys_since = None
    user.save(update_fields=["review_keys_since"])
