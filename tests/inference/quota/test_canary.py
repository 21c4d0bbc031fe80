"""Who is served by a canary: a share of the users, each always the same version."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.contract.requests import parse_request
from inference.contract.route import Target
from inference.errors import UnknownModel
from inference.quota.admission import canary_bucket
from tests.inference.builders import VERSIONS, place, target, version_row, write_engines, write_version
from tests.inference.quota.builders import PLENTY
from tests.profiles import examples

names = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=20)
LIVE, CANARY = 1, 2


def route(version: int) -> Target:
    """Have a version on an engine; return what leads there."""
    local = place("local", "http://127.0.0.1:1")
    write_engines(local)
    write_version(version_row("brand", VERSIONS["brand", version], version=version, places=[local]))
    return target("brand", VERSIONS["brand", version])


@pytest.fixture
def percent(account):
    """Begin a canary with a share in percent."""

    def percent(share: int) -> None:
        account.limit(**PLENTY)
        for name in ("brand", "acme/brand"):
            account.publish({name: route(LIVE), f"{name}@live": route(LIVE), f"{name}@canary": route(CANARY)})
            account.split(name, share)

    return percent


@pytest.fixture
def version_of(ask):
    async def version_of(user: str, *, model: str = "brand", request_id: str = "r") -> int:
        grant = await ask(request_id, model=model, user=user, prompt=1, output=1)
        return grant.route.version

    return version_of


@given(style=names, share=st.integers(0, 100), prefix=names)
@settings(max_examples=examples(60))
def test_the_share_of_users_is_the_canarys_within_a_few_percent(style, share, prefix):
    buckets = Counter(canary_bucket(style, f"{prefix}{number}") for number in range(2000))
    taken = sum(count for bucket, count in buckets.items() if bucket < share)
    assert abs(taken / 2000 - share / 100) < 0.06  # five standard deviations


@given(style=names, owner=names, user=names)
@settings(max_examples=examples(60))
def test_a_user_is_in_one_place_by_the_styles_short_name_and_its_full_one(style, owner, user):
    assert 0 <= canary_bucket(style, user) == canary_bucket(f"{owner}/{style}", user) < 100


async def test_a_user_stays_with_a_version_while_the_share_grows(percent, version_of):
    users, before = [f"user-{n}" for n in range(60)], set()
    for share in (0, 10, 50, 99, 100):
        percent(share)
        now = {user for user in users if await version_of(user) == CANARY}
        assert before <= now
        assert now == {user for user in users if canary_bucket("brand", user) < share}
        assert now == {user for user in users if await version_of(user, model="acme/brand") == CANARY}
        before = now
    assert before == set(users)


async def test_without_users_it_is_a_share_of_the_requests(percent, version_of):
    percent(30)
    versions = Counter([await version_of("", request_id=f"r{n}") for n in range(400)])
    assert versions[CANARY] == pytest.approx(120, abs=45)


@pytest.mark.parametrize(("model", "version"), [("brand@live", LIVE), ("brand@canary", CANARY)])
async def test_a_name_that_says_which_is_no_matter_of_chance(percent, version_of, model, version):
    percent(50)
    assert {await version_of(f"user-{n}", model=model) for n in range(20)} == {version}


async def test_who_gets_a_canary_that_is_on_its_way_or_has_just_ended_gets_the_live_version(
    account, percent, version_of
):
    percent(100)
    assert await version_of("ada") == CANARY
    write_version(version_row("brand", VERSIONS["brand", CANARY], version=CANARY))  # on no engine yet
    assert await version_of("ada") == LIVE
    account.withdraw("brand@canary")
    assert await version_of("ada") == LIVE


async def test_how_a_canary_is_written_down_is_no_model(percent, version_of):
    percent(50)
    with pytest.raises(UnknownModel):
        await version_of("ada", model="canary:brand")


@pytest.mark.parametrize("user", ["ada", None])
def test_whom_a_client_asks_for_is_kept_from_the_engine(user):
    body = {"model": "brand", "messages": [{"role": "user", "content": "x"}], "user": user}
    parsed = parse_request("chat", json.dumps(body).encode())
    assert parsed.user == (user or "")
    assert "user" not in parsed.fields
