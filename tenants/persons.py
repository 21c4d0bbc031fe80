"""Who is one person to the free plan: the reader of one mailbox, however its address is spelled.

A person is named by a keyed digest of the normalised address. The digest stays with the account when its
address changes, so that a new address is no new person.
"""

from contextlib import suppress
from ipaddress import ip_address

from django.db.models import QuerySet
from django.utils.crypto import salted_hmac
from django.utils.encoding import punycode

from core.errors import Invalid
from core.http import network_of
from tenants.models import FormerMember, Membership, User

SALT = "tenants.persons"  # never changed: digests are stored
# Providers that deliver several spellings to one mailbox: their domains, and the characters that they ignore.
# https://support.google.com/mail/answer/7436150, https://proton.me/support/addresses-and-aliases
PROVIDERS = (
    ({"gmail.com", "googlemail.com"}, "."),
    ({"proton.me", "protonmail.com", "pm.me"}, "._-"),
)
QUOTING = str.maketrans("", "", '"\\')
# Where mailboxes are anybody's: many new persons a day are no sign of one. Others count by domain.
MAIL_PROVIDERS = """
gmail.com googlemail.com outlook.com outlook.de hotmail.com hotmail.de hotmail.co.uk hotmail.fr live.com
live.de msn.com yahoo.com yahoo.de yahoo.co.uk yahoo.fr yahoo.co.jp ymail.com aol.com icloud.com me.com
mac.com proton.me protonmail.com pm.me gmx.de gmx.net gmx.at gmx.ch gmx.com web.de t-online.de freenet.de
posteo.de mailbox.org mail.de arcor.de vodafone.de bluewin.ch fastmail.com hey.com zoho.com tuta.com tuta.io
tutanota.com mail.com orange.fr wanadoo.fr free.fr laposte.net libero.it seznam.cz wp.pl o2.pl onet.pl
ziggo.nl kpnmail.nl telenet.be comcast.net verizon.net att.net btinternet.com qq.com 163.com 126.com
naver.com daum.net yandex.com yandex.ru mail.ru
"""
SITE_HOST_BITS = 80  # of IPv6: a site gets a /48 (RFC 6177), 65,536 times the /64 of a client


class BadAddress(Invalid):
    """Enter an address like name@example.org, without quotation marks."""


def spell_address(address: str) -> str:
    """Return the one spelling of an address under which accounts and invitations are kept.

    Small letters, and the domain as IDNA. Raises BadAddress for a quoted local part, one beyond ASCII and an
    IP address in place of a domain: each is a second name of a mailbox that has a plain one.
    """
    local, _, domain = address.strip().lower().rpartition("@")
    if '"' in local or not local.isascii() or domain.startswith("["):
        raise BadAddress
    try:
        return f"{local}@{punycode(domain)}"
    except UnicodeError as error:
        raise BadAddress from error


def normalize_address(address: str) -> str:
    """Return one spelling for all addresses of a mailbox.

    Case does not count, nor what follows a `+` (RFC 5233), nor what the large providers ignore.
    """
    local, _, domain = address.strip().lower().rpartition("@")
    local = local.translate(QUOTING) or local  # accounts of old may have it
    domain = domain.rstrip(".")
    with suppress(UnicodeError):
        domain = punycode(domain)
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


def domain_of(address: str) -> str:
    """Return the digest of the domain that somebody has registered; "" where mailboxes are anybody's.

    Names below it count as one: whoever has a domain has all of them. Without the Public Suffix List a
    country's second level is known by its length (co.uk, com.au).
    """
    labels = normalize_address(address).rpartition("@")[2].split(".")
    is_below_second_level = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    domain = ".".join(labels[-3:] if is_below_second_level else labels[-2:])
    return (
        "" if domain in MAIL_PROVIDERS.split() else salted_hmac(SALT, domain, algorithm="sha256").hexdigest()
    )


def site_of(address: str | None) -> str:
    """Return the digest of the network behind an IP address (IPv6: its /48); "" for one that is not public.

    Behind a proxy that is not trusted, everybody has the proxy's address.
    """
    try:
        is_public = ip_address(address or "").is_global
    except ValueError:
        is_public = False
    if not address or not is_public:
        return ""
    network = network_of(address, ipv6_host_bits=SITE_HOST_BITS)
    return salted_hmac(SALT, network, algorithm="sha256").hexdigest()


def end_memberships(memberships: QuerySet[Membership]) -> None:
    """Delete memberships, and keep for a while which persons were members."""
    keep_former_members(memberships)
    memberships.delete()


def keep_former_members(memberships: QuerySet[Membership]) -> None:
    """Note whose memberships end: authors' shares of that month ask, and the free plan does."""
    rows = memberships.select_related("user")
    for row in rows:
        keep_person(row.user)
    FormerMember.objects.bulk_create(
        [
            FormerMember(
                tenant_id=row.tenant_id,
                person=row.user.person,
                was_owner=row.role == Membership.Role.OWNER,
            )
            for row in rows
        ]
    )


def keep_person(user: User) -> None:
    """Let an account stay the same person. Call it before the account gets another address."""
    if not user.person:
        User.objects.filter(pk=user.pk, person="").update(person=person_of(user))
        user.refresh_from_db(fields=["person"])
