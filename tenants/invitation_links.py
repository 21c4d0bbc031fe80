"""The link of an invitation, and what the mail with it says. It is signed, so the database has no token."""

import re

from django.core import signing
from django.urls import reverse

from core.grammar import within_sentence
from tenants.models import Invitation, Membership, Tenant
from tenants.roles import DESCRIPTIONS

SIGNER = signing.Signer(salt="accounts.members", sep=".")  # not ":", which addresses quote
LOOKS_LIKE_ADDRESS = re.compile(r"[/:@]|\.\w")


def token_of(invitation: Invitation) -> str:
    """Return what an invitation's link is known by. It names its end, so a new link ends the one before."""
    return SIGNER.sign_object([str(invitation.pk), invitation.expires_at.isoformat()])


def describe_for_mail(invitation: Invitation) -> dict[str, object]:
    """Return what the mail with an invitation's link says."""
    return {
        "workspace": _harmless_name(invitation.tenant),
        "inviter": invitation.invited_by.email if invitation.invited_by else "",
        "role": within_sentence(str(Membership.Role(invitation.role).label)),
        "description": DESCRIPTIONS[invitation.role],
        "expires_at": invitation.expires_at,
        "path": reverse("accounts:join", args=[token_of(invitation)]),
    }


def _harmless_name(tenant: Tenant) -> str:
    """Return a workspace's name for a mail to a stranger; one that reads as a link shows its slug instead."""
    return tenant.slug if LOOKS_LIKE_ADDRESS.search(tenant.name) else tenant.name
