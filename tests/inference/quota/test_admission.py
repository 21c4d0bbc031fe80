import asyncio
from contextlib import contextmanager

import pytest

from core import months
from core import valkey as valkey_keys
from inference.contract import http_errors
from inference.contract.usage import Usage
from inference.errors import (
    InFlightFull,
    QuotaExhausted,
    RateLimited,
    TooLargeForLimit,
    TooManyAtOnce,
    TooManySequences,
    UnknownModel,
    UnpaidLimitReached,
)  # fmt: skip
from inference.proxy import runtime
from inference.quota.admission import AdapterNotLoaded, CacheMiss, InFlight, PromptEstimateTooHigh
from inference.quota.settlement import sweep_expired_holds
from tests.inference.builders import (
    BASE_PLACE,
    VERSIONS,
    open_tables,
    read_style_row,
    target,
    write_engines,
    write_style,
)


@pytest.fixture
def unchanged(account):
    """Assert that what Valkey has of the account is what it was when the test began to look."""

    def read() -> dict[str, bytes]:
        return {name: account.store.dump(name) for name in account.store.keys(f"*{account.tenant}*")}

    @contextmanager
    def unchanged():
        before = read()
        yield
        assert read() == before

    return unchanged


async def test_a_grant_holds_the_worst_case_and_settling_charges_what_was_used(account, ask, settle):
    grant = await ask(sequences=2)
    assert (grant.hold_tokens, account.held()) == (50, 50)
    await settle(grant, prompt=7, completion=5, cached=2)
    assert (account.held(), account.used()) == (0, 12)
    [event] = account.events()
    assert event["cost_nanousd"] == 5 * 100 + 2 * 25 + 5 * 400


async def test_settling_twice_charges_once(account, ask, settle):
    grant = await ask()
    for _ in range(2):
        await settle(grant, prompt=7, completion=5)
    assert (account.held(), account.used()) == (0, 12)


async def test_the_plan_clamps_the_output(account, ask):
    assert (await ask(output=9_999)).output_tokens == 50
    assert (await ask(output=0)).output_tokens == 50


@pytest.mark.parametrize(
    ("limits", "error", "left"),
    [
        ({"monthly_tokens": 29}, QuotaExhausted, 29),
        ({"requests_per_minute": 0.5}, RateLimited, 0),
        ({"tokens_per_minute": 29}, TooLargeForLimit, 29),
        ({"parallel_requests": 0}, TooManyAtOnce, 0),
    ],
)
async def test_a_refusal_says_what_is_left_and_burns_nothing(account, ask, unchanged, *, limits, error, left):
    account.limit(**limits)
    with unchanged(), pytest.raises(error) as refused:
        await ask()
    assert refused.value.facts["left"] == str(left)


async def test_in_flight_is_full_is_another_error_than_exhausted(account, ask, settle):
    account.limit(monthly_tokens=50)
    grant = await ask()
    with pytest.raises(InFlightFull):
        await ask()
    await settle(grant, "upstream_error")
    await ask()


async def test_parallel_requests_never_pass_the_cap(account, ask):
    account.limit(monthly_tokens=30 * 7, parallel_requests=100)
    answers = await asyncio.gather(*(ask() for _ in range(40)), return_exceptions=True)
    refused = [a for a in answers if isinstance(a, Exception)]
    assert len(answers) - len(refused) == 7
    assert all(isinstance(r, InFlightFull) for r in refused)
    assert account.held() == 30 * 7


async def test_a_request_takes_as_many_parallel_slots_as_it_has_sequences_and_gives_them_back(
    account, ask, settle
):
    account.limit(parallel_requests=8)
    wide = await ask(sequences=5)
    with pytest.raises(RateLimited) as refused:
        await ask(sequences=4)
    assert (refused.value.facts["left"], account.bucket()["open"]) == ("3", "5")
    await ask(sequences=3)
    with pytest.raises(RateLimited):
        await ask()
    await settle(wide, prompt=7, completion=5)
    assert account.bucket()["open"] == account.bucket()[f"open:{account.key}"] == "3"


@pytest.mark.parametrize("ends", ["settled", "swept", "flushed"])
async def test_however_a_wide_request_ends_its_slots_are_free(gateway, account, ask, settle, valkey, *, ends):
    grant = await ask(sequences=5)
    if ends == "flushed":
        valkey.delete(
            valkey_keys.hold_key(account.tenant, grant.request_id), valkey_keys.bucket_key(account.tenant)
        )
        await gateway.meter.restore(InFlight.begin(grant, Usage()))
        assert account.bucket()["open"] == "5"
    if ends == "swept":
        valkey.zadd(valkey_keys.leases_key(), {f"{account.tenant} {grant.request_id}": 1})
        assert sweep_expired_holds(valkey) == 1
    await settle(grant, prompt=7, completion=5)
    assert account.bucket()["open"] == account.bucket()[f"open:{account.key}"] == "0"


async def test_more_sequences_than_the_plan_allows_are_refused_by_name(account, ask):
    account.limit(sequences_per_request=4)
    await ask(sequences=4, output=1)
    with pytest.raises(TooManySequences, match=r"5 sequences .* allows 4"):
        await ask(sequences=5, output=1)


async def test_more_sequences_than_may_ever_run_in_parallel_are_not_to_be_sent_again(account, ask):
    account.limit(parallel_requests=4)
    with pytest.raises(TooManyAtOnce, match=r"5 sequences .* 4 at a time") as refused:
        await ask(sequences=5)
    assert http_errors.headers(refused.value) == [(b"x-should-retry", b"false")]


async def test_tokens_a_minute_come_back_when_less_was_used(account, ask, settle):
    account.limit(tokens_per_minute=60)
    grants = [await ask(), await ask()]
    with pytest.raises(RateLimited) as refused:
        await ask()
    assert refused.value.facts["limit"] == "tokens per minute"
    await settle(grants[0], prompt=1)
    with pytest.raises(RateLimited):
        await ask(prompt=20)
    await ask(prompt=5)


async def test_the_wait_for_the_next_request_gets_shorter(account, ask):
    account.limit(requests_per_minute=1)
    await ask()
    await asyncio.sleep(0.01)
    with pytest.raises(RateLimited) as refused:
        await ask()
    assert 30 < refused.value.facts["retry_s"] <= 60


async def test_what_a_key_may_not_use_does_not_exist(account, ask):
    account.offer("legal")
    account.store.hset(valkey_keys.key_key(account.tenant, account.key), "styles", "0,1")
    with pytest.raises(UnknownModel):
        await ask(model="poetry")
    with pytest.raises(UnknownModel):
        await ask(model="nobody/nothing")


async def test_a_name_without_a_workspace_is_the_own_style_else_the_first_partys(account, ask):
    library = account.caller.names.library
    account.store.hset(library, "poetry", "selected")
    grant = await ask()
    assert (grant.field, grant.route.version) == ("poetry", 3)
    account.offer("tester/poetry", version=4)
    for model in ("poetry", "tester/poetry"):
        grant = await ask(model=model)
        assert (grant.field, grant.route.version) == ("tester/poetry", 4)
    account.publish({"poetry@2": account.written("poetry")})
    with pytest.raises(UnknownModel):  # all names of the other one are hidden
        await ask(model="poetry@2")
    account.withdraw("tester/poetry")
    account.store.hdel(valkey_keys.route_styles_key(), "tester/poetry")  # its last version has ended
    assert (await ask(model="poetry@2")).field == "poetry@2"


@pytest.mark.parametrize(
    ("right", "is_public", "is_known"),
    [
        ("own", False, True),
        ("shared", False, True),
        ("selected", True, True),
        ("selected", False, False),
        (None, True, False),
    ],
)
async def test_who_may_use_a_style_is_in_the_library_and_in_its_row(account, ask, right, is_public, is_known):
    row = read_style_row("poetry")
    write_style("poetry", row | {"is_public": is_public})
    account.store.hdel(account.caller.names.library, "poetry")
    if right:
        account.store.hset(account.caller.names.library, "poetry", right)
    if is_known:
        await ask()
    else:
        with pytest.raises(UnknownModel):
            await ask()


async def test_what_others_get_of_a_style_may_be_another_version(account, ask):
    account.offer("poetry", version=4)
    row = read_style_row("poetry")
    row["others"] = {"versions": {"": VERSIONS["poetry", 3]}, "about": ""}
    write_style("poetry", row)
    assert (await ask()).route.version == 4
    account.store.hset(account.caller.names.library, "poetry", "selected")
    assert (await ask()).route.version == 3


async def test_a_row_that_is_missing_while_all_are_written_is_no_404(account, ask, monkeypatch):
    monkeypatch.setattr(runtime, "publish_missing_tables", lambda: None)  # as while another process does
    account.publish({"tester/legal": account.written("poetry")})
    account.store.delete(valkey_keys.route_styles_key(), valkey_keys.route_incarnation_key())
    for model in ("poetry", "legal", "nothing"):
        with pytest.raises(CacheMiss):
            await ask(model=model)
    account.publish({"legal": target("legal", VERSIONS["legal", 3])})
    with pytest.raises(CacheMiss):  # the own one may be written in a moment
        await ask(model="legal")
    open_tables()
    with pytest.raises(UnknownModel):
        await ask(model="nothing")


async def test_a_style_that_is_being_loaded_is_no_404_and_holds_nothing(account, ask):
    account.load("fresh", "v1")
    with pytest.raises(AdapterNotLoaded) as told:
        await ask(model="fresh")
    assert (told.value.field, told.value.version_id) == ("fresh", "v1")
    assert account.held() == 0


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ({"monthly_tokens": 29}, QuotaExhausted),
        ({"monthly_nanousd": 1}, QuotaExhausted),
        ({"requests_per_minute": 0.5}, RateLimited),
        ({"tokens_per_minute": 29}, TooLargeForLimit),
        ({"parallel_requests": 0}, TooManyAtOnce),
    ],
)
async def test_who_may_not_ask_has_no_style_loaded(account, ask, limits, error):
    account.load("fresh", "v1")
    account.limit(**limits)
    with pytest.raises(error):
        await ask(model="fresh")


async def test_a_wait_for_a_style_uses_no_limit_up(account, ask, unchanged):
    account.load("fresh", "v1")
    account.limit(requests_per_minute=1, tokens_per_minute=30, parallel_requests=1, monthly_tokens=30)
    for _ in range(3):
        with unchanged(), pytest.raises(AdapterNotLoaded):
            await ask(model="fresh")
    await ask()


async def test_of_a_style_that_is_on_no_engine_no_more_is_asked_than_the_base_model_has_room_for(
    account, ask
):
    account.load("fresh", "v1")
    account.limit(max_output_tokens=4096, monthly_tokens=2048)
    with pytest.raises(PromptEstimateTooHigh):
        await ask(model="fresh", output=0)
    with pytest.raises(AdapterNotLoaded):
        await ask(model="fresh", output=0, is_exact=True)
    account.limit(monthly_tokens=2047)
    with pytest.raises(QuotaExhausted):
        await ask(model="fresh", output=0, is_exact=True)
    write_engines(BASE_PLACE | {"base": ""})  # nor has the base model one: what there is room for isn't known
    with pytest.raises(AdapterNotLoaded):
        await ask(model="fresh", output=0, is_exact=True)


async def test_a_flushed_valkey_admits_nobody(account, ask):
    account.store.flushdb()
    with pytest.raises(CacheMiss):
        await ask()


async def test_what_may_be_unpaid_bounds_usage_and_the_refusal_says_so(account, ask, settle):
    """10 prompt tokens and 20 more cost 1,000 + 8,000 nano-USD; what credits left of October is lent, too."""
    previous = months.before(account.period)
    account.store.hset(
        valkey_keys.account_key(account.tenant, previous), mapping={"used": 10, "spent": 1_000}
    )
    account.limit(credits=f"{account.period} {previous} 0 0 500:b 19000:u")
    first = await ask()
    with pytest.raises(UnpaidLimitReached, match="Until you pay your first invoice"):
        await ask(output=50)
    second = await ask()
    with pytest.raises(InFlightFull, match="limit for unpaid usage"):
        await ask(output=1)
    for grant in (first, second):
        await settle(grant, prompt=10, completion=20)
    with pytest.raises(UnpaidLimitReached):
        await ask(output=1)
