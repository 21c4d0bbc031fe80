"""What allauth asks of us about accounts: where a login leads, and what a new address means for API keys."""

from datetime import timedelta

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from tenants.models import User

KEPT_UNCONFIRMED = timedelta(days=30)
MAX_PRUNED = 1_000  # accounts at once: the rest goes with the next pass


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth's own behaviour, and a review of API keys after an account changed hands."""

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Mark an address as confirmed; one that takes another's place brings a review of the keys."""
        others = EmailAddress.objects.filter(user_id=email_address.user_id, verified=True)
        replaces = others.exclude(pk=email_address.pk).exists()
        confirmed: bool = super().confirm_email(request, email_address)
        if confirmed and replaces:
            ask_to_review_keys(email_address.user)
        return confirmed

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Return the first page after a login: the keys while they wait for a review."""
        user = request.user
        if isinstance(user, User) and user.review_keys_since is not None:
            return reverse("tenants:keys")
        return str(super().get_login_redirect_url(request))


def prune_unconfirmed() -> int:
    """Delete accounts that nobody confirmed within a month and nobody ever used; return how many went."""
    old = User.objects.filter(date_joined__lt=timezone.now() - KEPT_UNCONFIRMED)
    unused = old.filter(last_login=None, memberships=None, is_staff=False)
    ids = unused.exclude(emailaddress__verified=True).values_list("pk", flat=True)[:MAX_PRUNED]
    _count, by_model = User.objects.filter(pk__in=list(ids)).delete()
    return by_model.get("tenants.User", 0)


def ask_to_review_keys(user: User) -> None:
    """Show a person the API keys made until now: whoever had the account before may know their secrets."""
    user.review_keys_since = timezone.now()
    user.save(update_fields=["review_keys_since"])


def end_review_of_keys(user: User) -> None:
    """Take the review of keys as done."""
    user.review_keys_since = None
    user.save(update_fields=["review_keys_since"])
