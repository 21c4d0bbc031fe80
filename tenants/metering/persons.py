"""Who is one person to the free plan: the reader of one mailbox, however its address is spelled.

A person is named by a keyed digest of the normalised address. The digest stays with the account when its
address changes, so that a new address is no new person.
"""

from datetime import datetime

from django.db.models import QuerySet
from django.utils.crypto import salted_hmac

from core import months
from tenants.models import FormerMember, Membership, User

SALT = "tenants.metering.persons"
# Providers that deliver several spellings to one mailbox: their domains, and the characters that they ignore.
# https://support.google.com/mail/answer/7436150, https://proton.me/support/addresses-and-aliases
PROVIDERS = (
    ({"gmail.com", "googlemail.com"}, "."),
    ({"proton.me", "protonmail.com", "pm.me"}, "._-"),
)


def normalize_address(address: str) -> str:
    """Return one spelling for all addresses of a mailbox.

    Case does not count, nor what follows a `+` (RFC 5233), nor what the large providers ignore.
    """
    local, _, domain = address.strip().lower().rpartition("@")
    domain = domain.rstrip(".")
    local = local.partition("+")[0] or local
    for domains, ignored in PROVIDERS:
        if domain in domains:
            domain = min(domains)
            local = local.translate({ord(character): None for character in ignored}) or local
    return f"{local}@{domain}"


def person_of(user: User) -> str:
    """Return the digest that names the person behind an account."""
    return user.person or person_of_address(user.email)


def person_of_address(address: str) -> str:
    """Return the digest that names the reader of a mailbox."""
    return salted_hmac(SALT, normalize_address(address), algorithm="sha256").hexdigest()


def end_memberships(memberships: QuerySet[Membership]) -> None:
    """Delete memberships, and keep for a while which persons were members."""
    keep_former_members(memberships)
    memberships.delete()


def keep_former_members(memberships: QuerySet[Membership]) -> None:
    """Note whose memberships end: authors' shares of that month ask."""
    rows = memberships.select_related("user")
    FormerMember.objects.bulk_create(
        [FormerMember(tenant_id=row.tenant_id, person=person_of(row.user)) for row in rows]
    )


def prune_former_members(now: datetime) -> int:
    """Delete who left before the month before the last one; return how many rows."""
    start, _ = months.bounds(months.before(months.before(months.period_of(now))))
    deleted, _ = FormerMember.objects.filter(left_at__lt=start).delete()
    return deleted


def keep_person(user: User) -> None:
    """Let an account stay the same person. Call it before the account gets another address."""
    User.objects.filter(pk=user.pk, person="").update(person=person_of(user))
    user.refresh_from_db(fields=["person"])
