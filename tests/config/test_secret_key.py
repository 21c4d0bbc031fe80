"""DJANGO_SECRET_KEY is replaced in the steps of docs/running.md: nobody is logged out, no link breaks."""

import pytest
from django.contrib.auth.tokens import default_token_generator
from django.core import signing
from django.urls import reverse

OLD, NEW = "old" * 20, "new" * 20
STEPS = ((OLD, [NEW, OLD]), (NEW, [NEW, OLD]))


@pytest.mark.django_db
def test_sessions_and_links_outlive_a_new_key(client, alice, settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = OLD, []
    client.force_login(alice, backend="allauth.account.auth_backends.AuthenticationBackend")
    link, token = signing.dumps("unsubscribe"), default_token_generator.make_token(alice)

    for settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS in STEPS:
        assert client.get(reverse("account_email")).status_code == 200
        assert signing.loads(link) == "unsubscribe"
        assert default_token_generator.check_token(alice, token)

    settings.SECRET_KEY_FALLBACKS = []
    # The visits have renewed what the session is signed by.
    assert client.get(reverse("account_email")).status_code == 200
    with pytest.raises(signing.BadSignature):
        signing.loads(link)


def test_a_process_that_still_signs_with_the_old_key_believes_one_that_has_the_new(settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = STEPS[1]
    signed = signing.dumps("by a new process")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = STEPS[0]
    assert signing.loads(signed) == "by a new process"
