"""A version that repeats its texts stays with its owner: it is not shared, offered, approved, or made live
for those who have the style already."""

import pytest

from adapters.catalog import sharing
from adapters.errors import VersionNotShareable
from adapters.models import AdapterVersion, ShareRefusal, Style
from adapters.releases import aliases
from tests.adapters.builders import by, known
from tests.tenants.builders import owner_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]

REFUSAL = ShareRefusal.VERBATIM(repeated=9, examples=200, tokens=50)


def refuse(version: AdapterVersion) -> AdapterVersion:
    AdapterVersion.objects.filter(pk=version.pk).update(share_refusal=REFUSAL)
    version.refresh_from_db()
    return version


def test_its_style_is_neither_shared_nor_offered_and_says_why(noir, charlies):
    refuse(noir.live_version)
    with pytest.raises(VersionNotShareable, match="repeats 9 of 200 passages"):
        sharing.share_style(owner_of(noir.owner), noir, charlies.slug)
    with pytest.raises(VersionNotShareable):
        sharing.offer_style(owner_of(noir.owner), noir)
    assert not noir.shares.exists()


def test_an_offer_that_turns_out_to_repeat_its_texts_is_not_approved(noir):
    sharing.offer_style(owner_of(noir.owner), noir)
    refuse(noir.live_version)
    with pytest.raises(VersionNotShareable):
        sharing.approve_style(noir)
    noir.refresh_from_db()
    assert not noir.is_public


def test_it_goes_live_for_its_owner_alone(noir, acme, engine, charlies, alice):
    version = refuse(known(acme, "noir", engine, auto_promote=False))
    assert aliases.promote(by(alice), version)  # nobody else has the style
    aliases.roll_back(by(alice), noir)
    sharing.share_style(owner_of(noir.owner), Style.objects.get(pk=noir.pk), charlies.slug)
    with pytest.raises(VersionNotShareable):
        aliases.promote(by(alice), version)
    with pytest.raises(VersionNotShareable):
        aliases.begin_canary(by(alice), version, 10)
    version.auto_promote = True
    aliases.auto_promote(version)
    assert Style.objects.get(pk=noir.pk).live_version != version
