"""Second factors at rest."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core.management import CommandError, call_command

pytestmark = pytest.mark.django_db
NEXT_PEPPER = b"\x5a" * 32


def kept(user) -> dict[str, dict]:
    return {one.type: one.data for one in Authenticator.objects.filter(user=user)}


def test_the_database_has_no_secret_in_clear_text(alice):
    secret = generate_totp_secret()
    TOTP.activate(alice, secret)
    codes = RecoveryCodes.activate(alice).get_unused_codes()

    assert secret not in str(kept(alice))
    assert kept(alice)["totp"]["secret"].startswith("gAAAA")
    assert kept(alice)["recovery_codes"]["seed"].startswith("gAAAA")
    again = Authenticator.objects.get(type="recovery_codes").wrap()
    assert again.get_unused_codes() == codes


def test_a_new_pepper_takes_over_and_the_old_one_may_go(alice, settings, capsys):
    clear = generate_totp_secret()
    TOTP.activate(alice, clear)
    codes = RecoveryCodes.activate(alice).get_unused_codes()
    newest = max(settings.API_KEY_PEPPERS) + 1

    settings.API_KEY_PEPPERS = {**settings.API_KEY_PEPPERS, newest: NEXT_PEPPER}
    call_command("seal_secrets")
    assert "0 webhook endpoints, 2 second factors" in capsys.readouterr().out

    settings.API_KEY_PEPPERS = {newest: NEXT_PEPPER}
    assert clear not in str(kept(alice))
    assert Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes() == codes


def test_a_pepper_that_is_gone_too_early_is_told_and_holds_up_no_other(alice, bob, settings):
    TOTP.activate(alice, generate_totp_secret())
    settings.API_KEY_PEPPERS = {9: NEXT_PEPPER}
    TOTP.activate(bob, generate_totp_secret())
    before = kept(bob)
    with pytest.raises(CommandError, match=f"Add the old one next .* a second factor of user {alice.pk}\\."):
        call_command("seal_secrets")
    assert kept(bob) != before, "it was encrypted again"
