"""Receipts: signed statements of what wrote a text and when, for whoever gets the text.

A receipt is a JWS in its compact form (RFC 7515), signed with Ed25519 (RFC 8037). It names the text by its
SHA-256, so it can be shown without the text, and no text is stored for it.
"""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from jwt.algorithms import OKPAlgorithm

from inference.public import DIGITAL_SOURCE_TYPE, digest_text
from metering.models import UsageEvent
from provenance.errors import BadReceipt, NoReceipt, NoReceiptKeys
from tenants.models import Tenant

ALGORITHM = "EdDSA"
TYPE = "polyscribe-receipt+jws"
MAX_CHARACTERS = 4096
REQUIRED = ["iss", "jti", "iat", "text_sha256"]


@dataclass(frozen=True)
class Receipt:
    """What a receipt says."""

    request_id: str
    at: datetime
    text_sha256: str
    style: str
    version: int | None
    adapter_sha256: str
    base_model: str
    watermark: str
    constrained: tuple[str, ...] = ()  # fields of the request that prescribed the text

    def matches(self, text: str) -> bool:
        """Return whether it is the receipt of a text."""
        return digest_text(text) == self.text_sha256


def issue_receipt(tenant: Tenant, request_id: str) -> str:
    """Return the receipt of a workspace's answer, the same each time. Raises NoReceipt or NoReceiptKeys."""
    if not settings.RECEIPT_KEYS:
        raise NoReceiptKeys
    event = UsageEvent.objects.filter(tenant=tenant, request_id=request_id).exclude(text_sha256="").first()
    if event is None:
        raise NoReceipt(request_id=request_id)
    return sign_receipt(read_event(event))


def read_event(event: UsageEvent) -> Receipt:
    """Return what the receipt of a usage event says."""
    return Receipt(
        request_id=event.request_id,
        at=event.admitted_at,
        text_sha256=event.text_sha256,
        style=event.style_name,
        version=event.version_number,
        adapter_sha256=event.adapter_sha256,
        base_model=event.base_model,
        watermark=event.watermark,
        constrained=tuple(event.constrained.split()),
    )


def sign_receipt(receipt: Receipt) -> str:
    """Return a receipt, signed with the current key."""
    number = max(settings.RECEIPT_KEYS)
    claims = {
        "iss": settings.SITE_URL,
        "jti": receipt.request_id,
        "iat": int(receipt.at.timestamp()),
        "text_sha256": receipt.text_sha256,
        "style": receipt.style,
        "version": receipt.version,
        "adapter_sha256": receipt.adapter_sha256,
        "base_model": receipt.base_model,
        "watermark": receipt.watermark,
        "constrained": receipt.constrained,
        "digital_source_type": DIGITAL_SOURCE_TYPE,
    }
    headers = {"kid": str(number), "typ": TYPE}
    return jwt.encode(claims, _private_key(number), algorithm=ALGORITHM, headers=headers)


def verify_receipt(written: str) -> Receipt:
    """Return what a receipt says, if this installation signed exactly this. Raises BadReceipt."""
    token = "".join(written.split())  # mails wrap it
    try:
        claims = _decode(token)
    except (jwt.PyJWTError, ValueError) as error:
        raise BadReceipt(site=settings.SITE_URL) from error
    return Receipt(
        request_id=claims["jti"],
        at=datetime.fromtimestamp(claims["iat"], UTC),
        text_sha256=claims["text_sha256"],
        style=claims["style"],
        version=claims["version"],
        adapter_sha256=claims["adapter_sha256"],
        base_model=claims["base_model"],
        watermark=claims["watermark"],
        constrained=tuple(claims.get("constrained", ())),
    )


def list_public_keys() -> list[dict[str, str]]:
    """Return the keys that verify receipts, as a JWK Set has them (RFC 7517)."""
    keys = []
    for number in sorted(settings.RECEIPT_KEYS, reverse=True):
        public = OKPAlgorithm.to_jwk(_private_key(number).public_key(), as_dict=True)
        keys.append({**public, "alg": ALGORITHM, "use": "sig", "kid": str(number)})
    return keys


def _decode(token: str) -> dict[str, Any]:
    """Return the claims of a signed token. Raises jwt.PyJWTError or ValueError."""
    if len(token) > MAX_CHARACTERS or not _is_canonical(token):
        raise ValueError("not a token in its only form")
    header = jwt.get_unverified_header(token)
    number = str(header.get("kid"))
    if header.get("typ") != TYPE or not number.isdecimal() or int(number) not in settings.RECEIPT_KEYS:
        raise ValueError("signed by nobody that is known here")
    claims: dict[str, Any] = jwt.decode(
        token,
        _private_key(int(number)).public_key(),
        algorithms=[ALGORITHM],
        issuer=settings.SITE_URL,
        options={"require": REQUIRED},
    )
    return claims


def _is_canonical(token: str) -> bool:
    """Return whether no other text means the same: of base64's last letter, decoders ignore some bits."""
    for part in token.split("."):
        content = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        if base64.urlsafe_b64encode(content).rstrip(b"=").decode() != part:
            return False
    return True


def _private_key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(settings.RECEIPT_KEYS[number])
