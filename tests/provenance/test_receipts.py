"""Receipts: what they say, whose they are, and that no other text passes for one."""

import base64
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.public import digest_text
from provenance.errors import BadReceipt
from provenance.receipts import list_public_keys, sign_receipt, verify_receipt
from tests.profiles import examples
from tests.provenance.builders import RECEIPT, TEXT

SEEDS = {1: bytes(range(32)), 2: bytes(range(1, 33))}


@pytest.fixture(autouse=True)
def keys(settings):
    settings.RECEIPT_KEYS = SEEDS


def test_a_receipt_says_what_was_signed_and_is_the_same_each_time():
    signed = sign_receipt(RECEIPT)
    assert signed == sign_receipt(RECEIPT)
    assert verify_receipt(f" {signed[:60]}\n{signed[60:]} ") == RECEIPT


@pytest.mark.parametrize(
    ("text", "is_its"),
    [
        (TEXT, True),
        (f"  {TEXT.replace(chr(10), chr(13) + chr(10))}\n", True),
        (TEXT.replace("asleep", "Asleep"), False),
    ],
)
def test_copying_changes_no_text_and_editing_does(text, is_its):
    assert RECEIPT.matches(text) is is_its


def test_old_keys_verify_and_forgotten_ones_do_not(settings):
    settings.RECEIPT_KEYS = {1: SEEDS[1]}
    old = sign_receipt(RECEIPT)
    settings.RECEIPT_KEYS = SEEDS
    assert verify_receipt(old) == RECEIPT
    assert sign_receipt(RECEIPT) != old
    settings.RECEIPT_KEYS = {2: SEEDS[2]}
    with pytest.raises(BadReceipt):
        verify_receipt(old)


def test_anyone_can_verify_with_the_published_keys():
    signed = sign_receipt(RECEIPT)
    [key] = [one for one in list_public_keys() if one["kid"] == jwt.get_unverified_header(signed)["kid"]]
    claims = jwt.decode(signed, jwt.PyJWK(key), algorithms=["EdDSA"])
    assert claims["text_sha256"] == digest_text(TEXT)
    assert claims["digital_source_type"].endswith("/trainedAlgorithmicMedia")


@given(at=st.integers(0, 10**6), letter=st.sampled_from("ABCXYZabcxyz019-_.="))
@settings(max_examples=examples(1000))
def test_no_receipt_with_one_other_letter_is_valid(at, letter):
    signed = sign_receipt(RECEIPT)
    at %= len(signed)
    changed = signed[:at] + letter + signed[at + 1 :]
    if changed != signed:
        with pytest.raises(BadReceipt):
            verify_receipt(changed)


def encode(part):
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def forge(key=SEEDS[2], *, header=None, **claims):
    private = Ed25519PrivateKey.from_private_bytes(key)
    genuine = jwt.decode(sign_receipt(RECEIPT), options={"verify_signature": False})
    head = {"kid": "2", "typ": "polyscribe-receipt+jws"} | (header or {})
    return jwt.encode(genuine | claims, private, algorithm="EdDSA", headers=head)


@pytest.mark.parametrize(
    "forged",
    [
        lambda: forge(bytes(32)),
        lambda: forge(header={"kid": "9"}),
        lambda: forge(header={"kid": "../2"}),
        lambda: forge(header={"typ": "JWT"}),
        lambda: forge(iss="https://elsewhere.example"),
        lambda: ".".join(
            [encode({"alg": "none", "kid": "2", "typ": "polyscribe-receipt+jws"}), encode({}), ""]
        ),
        lambda: "",
        lambda: "eyJ",
        lambda: "a.b.c",
        lambda: "ä.b.c",
        lambda: "." * 5000,
    ],
)
def test_forged_receipts_are_refused(forged):
    with pytest.raises(BadReceipt):
        verify_receipt(forged())
