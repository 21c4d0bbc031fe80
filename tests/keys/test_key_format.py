import re

from hypothesis import given
from hypothesis import strategies as st

from tenants.models import keys as key_secrets

BODIES = st.text(key_secrets.BASE62, min_size=30, max_size=30)


@given(BODIES, st.integers(0, 35), st.sampled_from(key_secrets.BASE62))
def test_one_wrong_character_is_refused_without_a_look_up(body, place, character):
    secret = key_secrets.PREFIX + body + key_secrets.check_digits(body)
    assert key_secrets.is_well_formed(secret)
    at = len(key_secrets.PREFIX) + place
    mistyped = secret[:at] + character + secret[at + 1 :]
    assert key_secrets.is_well_formed(mistyped) == (mistyped == secret)


@given(st.text(max_size=60))
def test_garbage_is_never_well_formed(text):
    assert not key_secrets.is_well_formed(text)


def test_secrets_have_the_published_shape_and_never_repeat():
    secrets = {key_secrets.new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(re.fullmatch(r"sk-ps-[0-9A-Za-z]{36}", secret) for secret in secrets)
