"""Requests while engines fail, are away, or have yet to load a style: they go elsewhere, or wait."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from uuid import uuid4

import pytest
from django.conf import settings

from core import valkey as names
from inference.contract import http_errors
from inference.errors import (
    BadRequest,
    DomainError,
    EngineBusy,
    EngineDied,
    EngineUnavailable,
    ExpiredKey,
    FailingRequest,
    GrammarTooExpensive,
    InvalidGrammar,
    LimitsUnavailable,
    RevokedKey,
    StyleLoading,
    SuspectRequest,
    Suspended,
    TooManyRefusals,
    UnknownModel,
)
from inference.proxy import admission_wait
from inference.proxy import runtime as gateway_module
from inference.proxy.backends import MAX_FAILURES, TROUBLED_TENANTS
from inference.proxy.request import EXPENSIVE_GRAMMAR_REFUSALS
from inference.proxy.suspects import SUSPECT_FOR_S, fingerprint_of
from inference.proxy.turn_order import Ticket
from inference.quota.access import KeyAccess
from tests.fakes.vllm_data import FakeVllm
from tests.inference.builders import SHORT_WAITS, Account, place
from tests.inference.fakes import eventually, read_answer, relay
from tests.profiles import examples
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.proxy_settings(**SHORT_WAITS)
# Requests wait as long as the test takes.
patient = pytest.mark.proxy_settings(engine_wait_s=600, adapter_wait_s=600)
SOON_S = PATIENCE_S  # less than those

GONE = "http://127.0.0.1:1"


@pytest.fixture
async def engines(account):
    """Two engines that both have the style."""
    fakes = [FakeVllm(), FakeVllm()]
    async with AsyncExitStack() as stack:
        fakes_urls = [await stack.enter_async_context(fake.serve()) for fake in fakes]
        account.offer("poetry", *fakes_urls)
        yield fakes


@pytest.fixture(autouse=True)
def demanded(monkeypatch):
    """Versions that the gateway asked to have loaded."""
    versions = []
    monkeypatch.setattr(gateway_module, "request_version", versions.append)
    return versions


@pytest.fixture
def ask(gateway, account):
    async def ask(model="poetry", **more):
        answer = await relay(gateway, account.caller, model=model, **more)
        headers = {name.decode(): value.decode() for name, value in answer.headers}
        return headers, await read_answer(answer)

    return ask


def port_of(url):
    return int(url.rsplit(":", 1)[1])


@asynccontextmanager
async def away(account):
    """An engine that has just died, and how to start it again."""
    fake = FakeVllm()
    async with fake.serve() as url:
        account.offer("poetry", url)
    async with AsyncExitStack() as stack:
        yield fake, lambda: stack.enter_async_context(fake.serve(port_of(url)))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("failure", ["down", "503", "404", "breaks off"])
async def test_before_the_first_token_the_next_engine_answers(account, engines, ask, stream, failure):
    first, second = engines
    if failure == "down":
        routes = account.places("poetry")
        account.offer("poetry", GONE, routes[1]["url"])
    elif failure == "breaks off":
        first.aborts = True
    else:
        first.refuses = (int(failure), "no")
    headers, text = await ask(stream=stream)
    assert b"Roses" in text
    assert headers["x-polyscribe-engine"] == "engine-2"
    [event] = account.events()
    assert (event["outcome"], event["engine"]) == ("complete", "engine-2")
    assert (account.held(), len(second.received)) == (0, 1)


async def test_an_error_event_before_the_first_token_is_a_failure_too(account, engines, ask):
    engines[0].error_event = {"error": {"message": "The model is being scaled", "code": 503}}
    headers, text = await ask(stream=True)
    assert b"error" not in text
    assert text.endswith(b"data: [DONE]\n\n")
    assert headers["x-polyscribe-engine"] == "engine-2"


async def test_after_the_first_token_nobody_else_is_asked(account, engines, ask):
    engines[0].breaks_after = 2
    _, text = await ask(stream=True)
    assert b"server_is_overloaded" in text
    assert engines[1].received == []
    [event] = account.events()
    assert (event["outcome"], event["engine"], event["completion_tokens"]) == (
        "upstream_error", "engine-1", 2,
    )  # fmt: skip


async def test_what_the_client_did_wrong_is_asked_of_nobody_else(engines, ask):
    engines[0].refuses = (400, "top_k must be odd")
    with pytest.raises(BadRequest, match="rejected this request"):
        await ask()
    assert engines[1].received == []


@pytest.mark.proxy_settings(circuit_open_s=0.05)
@pytest.mark.parametrize("refuses", [(400, "top_k must be odd"), (500, "no"), (404, "no such adapter")])
async def test_whoever_is_refused_shows_that_an_engine_is_back(gateway, account, engine, ask, refuses):
    backend = gateway.backends.backend(account.route("poetry").placements[0])
    for _ in range(MAX_FAILURES):
        backend.mark_failed("", EngineUnavailable())
    engine.refuses = refuses
    with pytest.raises(DomainError):
        await ask()
    assert not backend._circuit.has_tripped


@pytest.mark.proxy_settings(circuit_open_s=30)
async def test_a_dead_engine_is_asked_only_now_and_then(gateway, account, engines, ask, monkeypatch):
    tried, connect = Counter(), gateway.upstream._connect

    async def connection(address):
        tried[address[2]] += 1
        return await connect(address)

    monkeypatch.setattr(gateway.upstream, "_connect", connection)
    first, second = GONE, account.places("poetry")[1]["url"]
    for number in range(20):  # of each style both know as little, so the first is asked first
        lora = {"lora": f"v_{number}"}
        account.offer("new", places=[place("engine-1", first, **lora), place("engine-2", second, **lora)])
        await ask("new")
    assert tried[1] == MAX_FAILURES
    assert len(engines[1].received) == 20


async def test_a_request_that_breaks_engines_is_not_given_to_a_third(account, engines, ask):
    for engine in engines:
        engine.aborts = True
    third = FakeVllm()
    async with third.serve() as url:
        account.offer("poetry", *(at["url"] for at in account.places("poetry")), url)
        with pytest.raises(EngineDied):
            await ask()
    assert third.received == []


FAILED = (500, "Internal Server Error")


@pytest.fixture
def of_others(gateway, account):
    """Ask as another tenant who has the same style."""

    async def ask(number, **more):
        other = Account(account.store, uuid4(), uuid4(), account.period)
        other.open()
        other.publish({"poetry": account.written("poetry")})
        return await relay(gateway, other.caller, messages=[{"role": "user", "content": f"{number}"}], **more)

    return ask


async def test_a_requests_own_failure_goes_to_no_other_engine_and_closes_none(
    gateway, account, engines, ask, of_others
):
    engines[0].refuses = FAILED
    for tenant in (ask, of_others):
        for number in range(3 * MAX_FAILURES if tenant is ask else 1):
            with pytest.raises(FailingRequest) as told:
                await tenant(number) if tenant is of_others else await ask(user=str(number))
            assert http_errors.error(told.value)[0] == 400
    assert engines[1].received == []
    engines[0].refuses = None
    headers, _ = await ask()
    assert headers["x-polyscribe-engine"] == "engine-1"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("failure", [GrammarTooExpensive, InvalidGrammar])
@pytest.mark.parametrize("words", [3, 0])
async def test_an_answer_that_its_grammar_ends_is_billed_what_was_written_and_closes_no_engine(
    account, engines, ask, *, failure, stream, words
):
    first, second = engines
    first.words = ["{ "] * words or [""]
    first.words_counted = words
    first.stop_reason = f"polyscribe:{failure.code}" + "." * 1100
    for number in range(2 * MAX_FAILURES):
        if stream and words > 1:
            _, text = await ask(stream=True, user=str(number))
            assert f'"code": "{failure.code}"'.encode() in text
            assert b"[DONE]" not in text
            assert b"polyscribe:" not in text
        else:
            with pytest.raises(failure) as raised:
                await ask(stream=stream, user=str(number))
            assert http_errors.status_and_type(raised.value) == (400, "invalid_request_error")
    events = account.events()
    assert [event["completion_tokens"] for event in events] == [3] * (2 * MAX_FAILURES if words else 0)
    assert {(event["outcome"], event["finish_reason"]) for event in events} <= {("complete", failure.code)}
    assert (account.held(), len(second.received)) == (0, 0)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_key_that_keeps_sending_expensive_grammars_is_refused_everything_for_a_while(
    gateway, account, engines, ask, stream
):
    engines[0].stop_reason = "polyscribe:grammar_too_expensive"
    refusals, counter = gateway.refusals, account.caller.names.refusals
    for _ in range(settings.API_REFUSALS_PER_KEY // EXPENSIVE_GRAMMAR_REFUSALS + 1):
        refusals.check(counter)
        with suppress(GrammarTooExpensive):
            await ask(stream=stream)

    def is_refused():
        with suppress(TooManyRefusals):
            return refusals.check(counter)
        return True

    await eventually(is_refused)


@pytest.mark.proxy_settings(circuit_open_s=30, engine_wait_s=0.02)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "refuses",
    [
        FAILED,
        (500, "The grammar matches nothing."),
        (502, "Bad Gateway"),
        (503, "no"),
        (500, "The actor died unexpectedly."),
    ],
)
async def test_complete_failures_of_however_many_workspaces_close_no_healthy_engine(
    gateway, account, engines, of_others, *, refuses, stream
):
    for engine in engines:
        engine.refuses = refuses
        if stream and refuses[0] == 500:  # vLLM says it in the stream's first event
            engine.refuses = None
            engine.error_event = {"error": {"message": refuses[1], "code": 500}}
    for number in range(4 * TROUBLED_TENANTS):
        with suppress(DomainError):
            answer = await of_others(number, stream=stream)
            if answer.stream:
                await answer.stream.aclose()
    assert len(engines[0].received) >= 4 * TROUBLED_TENANTS
    for place_of_engine in account.route("poetry").placements:
        assert gateway.backends.backend(place_of_engine).can_try("v_secret")


@pytest.mark.proxy_settings(circuit_open_s=30)
async def test_where_requests_of_several_tenants_break_off_the_engine_is_left_alone_for_once(
    gateway, account, engines, of_others
):
    for engine in engines:
        engine.aborts = True
    for number in range(TROUBLED_TENANTS):
        with pytest.raises(EngineUnavailable):
            await of_others(number)
    circuit = gateway.backends.backend(account.route("poetry").placements[0])._circuit
    assert circuit.is_open()
    assert not circuit.has_tripped  # all may try again afterwards


@pytest.mark.proxy_settings(circuit_open_s=30)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("says", ["answers 500", "says so in an event", "breaks off"])
async def test_a_request_in_whose_hands_an_engine_died_is_sent_to_nobody_for_minutes(
    account, engines, ask, stream, says
):
    first, second = engines
    first.health = 503  # as vLLM says when its core has died
    if says == "breaks off":
        first.aborts = True
    elif says == "answers 500" or not stream:
        first.refuses = (500, "EngineCore encountered an issue.")
    else:
        first.error_event = {"error": {"message": "EngineCore encountered an issue.", "code": 500}}
    with pytest.raises(EngineDied) as told:
        await ask(stream=stream)
    assert http_errors.error(told.value)[0] == 502
    assert (b"x-should-retry", b"false") in http_errors.headers(told.value)
    with pytest.raises(SuspectRequest) as refused:
        await ask(stream=stream)
    assert 0 < refused.value.facts["wait_s"] <= SUSPECT_FOR_S
    assert "retry-after" not in dict(http_errors.headers(refused.value))
    assert (second.received, account.held()) == ([], 0)
    headers, _ = await ask(stream=stream, max_tokens=5)  # another one, which knows that engine-1 is down
    assert headers["x-polyscribe-engine"] == "engine-2"
    any_suspect = names.suspect_key(account.tenant, "")
    [suspect] = set(account.store.keys(f"{any_suspect}*")) - {any_suspect}
    assert 0 < account.store.ttl(suspect) <= SUSPECT_FOR_S
    assert account.store.pttl(suspect) < account.store.pttl(any_suspect)


async def test_a_request_has_a_fingerprint_only_while_its_workspace_has_suspects(
    account, engines, ask, monkeypatch
):
    made = []
    monkeypatch.setattr(
        admission_wait, "fingerprint_of", lambda parsed: made.append(1) or fingerprint_of(parsed)
    )
    await ask()
    assert not made
    engines[0].health, engines[0].aborts = 503, True
    with pytest.raises(EngineDied):
        await ask()
    await ask(max_tokens=5)
    assert made == [1]


async def test_a_replica_that_died_behind_a_proxy_that_is_well_had_the_request(account, engines, ask):
    engines[0].refuses = (500, "ray.exceptions.ActorDiedError: The actor died unexpectedly.")
    with pytest.raises(EngineDied):
        await ask()
    with pytest.raises(SuspectRequest):
        await ask()
    assert engines[1].received == []


async def test_an_engine_that_is_gone_had_all_that_were_sent_and_none_that_waited(
    gateway, account, engines, ask
):
    first, second = engines
    first.hangs = True
    ours, other = (at | {"max_num_seqs": 2} for at in account.places("poetry"))
    account.offer("poetry", places=[ours])
    asking = [asyncio.create_task(ask(user=str(n), max_tokens=10 + n)) for n in range(4)]
    await eventually(lambda: len(first.received) == 2 and running_or_waiting(gateway, account) == 4)
    account.offer("poetry", places=[ours, other])
    await first.die()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert Counter(map(type, answers)) == {EngineDied: 2, tuple: 2}
    assert sorted(body["max_tokens"] for body in second.received) == [12, 13]


async def test_who_is_sent_elsewhere_from_an_engine_that_hangs_is_sent_to_no_third(account, engines, ask):
    for engine in engines:
        engine.hangs = True
    third = FakeVllm()
    async with third.serve() as url:
        first, second = account.places("poetry")
        asking = asyncio.create_task(ask())
        await eventually(lambda: engines[0].received)
        account.offer("poetry", places=[first | {"healthy": False}, second])
        await eventually(lambda: engines[1].received)
        account.offer("poetry", places=[second | {"healthy": False}, place("engine-3", url)])
        with pytest.raises(EngineDied):
            await asking
    assert third.received == []


@pytest.mark.proxy_settings(comment_every_s=0.001, silence_check_every_s=0.001)
@patient
@pytest.mark.parametrize("stream", [False, True])
async def test_requests_wait_while_the_only_engine_restarts(account, ask, demanded, stream):
    async with away(account) as (fake, start):
        asking = [asyncio.create_task(ask(stream=stream)) for _ in range(5)]
        await eventually(lambda: demanded and len(account.holds()) == 5)
        assert not any(task.done() for task in asking)
        assert account.held() > 0
        fake.knows = set()  # its process is back, its adapters aren't
        await start()
        await eventually(lambda: len(fake.received) >= 5)
        assert not any(task.done() for task in asking)
        fake.knows = None
        answers = await asyncio.gather(*asking)
    for headers, text in answers:
        assert b"Roses" in text
        assert text.startswith(b": waiting") is stream
        assert ("x-polyscribe-engine" in headers) is not stream
    assert [event["outcome"] for event in account.events()] == ["complete"] * 5
    assert account.held() == 0


async def test_patience_ends_with_an_error_that_bills_nothing(account, ask):
    with pytest.raises(EngineUnavailable) as told:
        await ask()
    assert told.value.tier == "disk"
    [event] = account.events()
    assert (event["outcome"], event["prompt_tokens"], event["completion_tokens"]) == ("upstream_error", 0, 0)
    assert (account.held(), account.used()) == (0, 0)


@patient
async def test_who_waits_follows_the_name_to_another_engine_and_version(account, ask, demanded):
    asking = asyncio.create_task(ask())
    await eventually(lambda: demanded)
    assert len(demanded) == 1  # its engine is away: another one is to take it
    fake = FakeVllm()
    async with fake.serve() as url:
        account.offer("poetry", version=4, version_id="v4", places=[place("other", url, lora="v_4")])
        headers, _ = await asking
    assert (headers["x-polyscribe-style-version"], headers["x-polyscribe-engine"]) == ("4", "other")
    [event] = account.events()
    assert (event["version_number"], event["engine"]) == (4, "other")


@patient
async def test_a_hold_tells_which_version_it_is_on(account, ask):
    account.offer("poetry", version_id="v3")
    asking = asyncio.create_task(ask())
    await eventually(account.holds)
    assert account.holds()[0]["version"] == "v3"
    account.offer("poetry", version_id="v4")
    await eventually(lambda: account.holds()[0]["version"] != "v3")
    [hold] = account.holds()
    assert (hold["version"], hold["engine"]) == ("v4", "engine-1")
    asking.cancel()


@patient
async def test_who_waits_while_valkey_is_away_goes_to_the_engine_that_the_process_knows(
    account, ask, demanded, monkeypatch
):
    async def away(*_):
        raise LimitsUnavailable

    monkeypatch.setattr(KeyAccess, "find_targets", away)
    asking = asyncio.create_task(ask())
    await eventually(lambda: demanded)
    fake = FakeVllm()
    async with fake.serve() as url:
        account.offer("poetry", url)
        headers, _ = await asking
    assert headers["x-polyscribe-engine"] == "engine-1"


def change_key(**change):
    return lambda account: account.store.hset(names.key_key(account.tenant, account.key), mapping=change)


LOSSES = {
    "revoked": (change_key(state="revoked"), RevokedKey),
    "expired": (change_key(expires_at="1"), ExpiredKey),
    "other styles": (change_key(styles=str(uuid4())), UnknownModel),
    "suspended": (lambda account: account.limit(state="suspended"), Suspended),
    "withdrawn": (lambda account: account.withdraw("poetry"), UnknownModel),
}


@patient
@pytest.mark.parametrize("is_loading", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
async def test_who_may_not_ask_for_it_waits_no_longer(account, ask, demanded, loss, is_loading):
    lose, error = LOSSES[loss]
    if is_loading:
        account.load("poetry", "v1")
    asking = asyncio.create_task(ask())
    await eventually(lambda: demanded)
    lose(account)
    with pytest.raises(error):
        async with asyncio.timeout(SOON_S):
            await asking
    assert account.held() == 0


@patient
async def test_a_cold_style_is_asked_for_once_and_answers_all_who_wait(gateway, account, ask, demanded):
    account.load("poetry", "v1")
    asking = [asyncio.create_task(ask()) for _ in range(8)]
    await eventually(lambda: demanded and gateway.loading.requests.total() == 8)
    assert demanded == ["v1"]
    assert (account.held(), account.bucket().get("requests")) == (0, None)  # waiting uses nothing up
    fake = FakeVllm()
    async with fake.serve() as url:
        account.offer("poetry", url)
        answers = await asyncio.gather(*asking)
    assert {headers["x-adapter-state"] for headers, _ in answers} == {"loading"}
    assert len(account.events()) == 8


async def test_a_style_that_is_not_loaded_in_time_is_an_error_that_says_so(account, ask, demanded):
    account.load("poetry", "v1")
    with pytest.raises(StyleLoading) as told:
        await ask()
    assert (told.value.tier, told.value.facts["retry_s"]) == ("loading", 5)
    assert (account.events(), account.held()) == ([], 0)


@pytest.mark.parametrize(
    ("bound", "most"),
    [
        ("loading_max_per_tenant", 3), ("loading_max", 3),
        ("loading_max_bytes_per_tenant", 250), ("loading_max_bytes", 250),
    ],
)  # fmt: skip
async def test_not_everybody_may_wait_for_a_load(gateway, account, ask, demanded, *, bound, most):
    gateway.loading.settings = replace(gateway.settings, **{bound: most})  # a body here has about 70 bytes
    account.load("poetry", "v1")
    answers = await asyncio.gather(*(ask() for _ in range(5)), return_exceptions=True)
    assert Counter(map(type, answers)) == {StyleLoading: 3, EngineBusy: 2}
    assert {error.tier for error in answers} == {"loading"}
    assert not gateway.loading.requests
    assert not gateway.loading.bytes


def running_or_waiting(gateway, account):
    """Requests that have or wait for a place at the engines of the style."""
    queue = [gateway.backends.backend(at).queue for at in account.route("poetry").placements]
    return sum(one.running + one.waiting for one in queue)


@pytest.mark.parametrize("stream", [False, True])
async def test_who_waits_for_an_engine_that_hangs_goes_to_a_healthy_one(
    gateway, account, engines, ask, stream
):
    first, second = engines
    first.hangs = True
    ours, other = account.places("poetry")
    asking = asyncio.create_task(ask(stream=stream))
    await eventually(lambda: first.received)
    assert (len(first.received), len(second.received)) == (1, 0)  # nobody knows yet
    account.offer("poetry", version=4, places=[other | {"lora": "v_4"}, ours | {"healthy": False}])
    async with asyncio.timeout(SOON_S):
        headers, text = await asking
        await first.hung_up.wait()
    assert b"Roses" in text
    assert (headers["x-polyscribe-style-version"], headers["x-polyscribe-engine"]) == ("4", "engine-2")
    [event] = account.events()
    assert (event["outcome"], event["version_number"], event["prompt_tokens"]) == ("complete", 4, 10)
    assert (account.held(), running_or_waiting(gateway, account), gateway.unanswered) == (0, 0, {})


async def test_who_waits_in_the_line_of_an_engine_that_hangs_leaves_it_too(gateway, account, engines, ask):
    engines[0].hangs = True
    ours, other = (at | {"max_num_seqs": 1} for at in account.places("poetry"))
    account.offer("poetry", places=[ours])
    asking = [asyncio.create_task(ask()) for _ in range(3)]
    await eventually(lambda: engines[0].received and running_or_waiting(gateway, account) == 3)
    assert (len(engines[0].received), running_or_waiting(gateway, account)) == (1, 3)
    account.offer("poetry", places=[other, ours | {"healthy": False}])
    async with asyncio.timeout(SOON_S):
        answers = await asyncio.gather(*asking)
    assert {headers["x-polyscribe-engine"] for headers, _ in answers} == {"engine-2"}
    assert (account.held(), running_or_waiting(gateway, account)) == (0, 0)


async def test_what_an_engine_has_begun_ends_there_though_the_style_moved_away(
    gateway, account, engines, ask
):
    engines[0].pauses_after = 1
    ours, other = (at | {"max_num_seqs": 1} for at in account.places("poetry"))
    account.offer("poetry", places=[ours])
    asking = [asyncio.create_task(ask()) for _ in range(2)]
    await eventually(lambda: engines[0].received and running_or_waiting(gateway, account) == 2)
    account.offer("poetry", places=[other])
    await eventually(lambda: engines[1].received)
    engines[0].pauses_after = None
    answers = await asyncio.gather(*asking)
    assert [headers["x-polyscribe-engine"] for headers, _ in answers] == ["engine-1", "engine-2"]


async def test_where_no_other_engine_is_healthy_an_attempt_goes_on_and_another_is_to_load_the_style(
    gateway, account, engines, ask, demanded
):
    engines[0].hangs = True
    ours, other = account.places("poetry")
    asking = asyncio.create_task(ask())
    await eventually(lambda: engines[0].received)
    version_id = account.route("poetry").version_id
    for others in ([], [other | {"healthy": False}]):
        gateway.loading._requested_s.clear()
        demanded.clear()
        account.offer("poetry", places=[ours | {"healthy": False}, *others])
        await eventually(lambda: demanded)
    assert (len(engines[0].received), asking.done(), demanded) == (1, False, [version_id])
    asking.cancel()
    await asyncio.wait({asking})
    assert (account.held(), running_or_waiting(gateway, account)) == (0, 0)


async def test_an_engine_that_hangs_in_the_middle_of_a_refusal_is_hung_up_on(account, engines, ask):
    engines[0].hangs, engines[0].refuses = True, (503, "no")
    asking = asyncio.create_task(ask(stream=True))
    await engines[0].is_hanging.wait()
    asking.cancel()
    async with asyncio.timeout(SOON_S):
        await engines[0].hung_up.wait()


async def test_whoever_hangs_up_just_then_leaves_nothing_behind(gateway, account, engines, ask):
    for fake in engines:
        fake.hangs = True
    places = [at | {"max_num_seqs": 2} for at in account.places("poetry")]
    account.limit(requests_per_minute=100_000, tokens_per_minute=10_000_000)
    for turns in range(0, 40, max(1, 40 // examples(40))):
        account.offer("poetry", places=places)
        asking = [asyncio.create_task(ask(stream=n % 2 == 0)) for n in range(6)]
        await eventually(lambda: running_or_waiting(gateway, account) == 6)
        account.offer("poetry", places=[places[0] | {"healthy": False}, places[1]])
        for _ in range(turns):  # each round hangs up at another moment of the move
            await asyncio.sleep(0)
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)
        assert (account.held(), running_or_waiting(gateway, account), gateway.unanswered) == (0, 0, {})
    assert gateway.in_flight == {}


@pytest.mark.proxy_settings(queue_wait_s=1, entrants_max=0)
@pytest.mark.parametrize("is_free", [True, False])
async def test_who_waited_too_long_in_one_queue_tries_another_engine(gateway, account, engines, ask, is_free):
    account.offer("poetry", places=[at | {"max_num_seqs": 1} for at in account.places("poetry")])
    backends = [gateway.backends.backend(at) for at in account.route("poetry").placements]
    others = [Ticket(uuid4(), "", 1, 1) for _ in backends]
    for backend, ticket in zip(backends, others, strict=True):
        await backend.queue.acquire(ticket)
    asking = asyncio.create_task(ask())
    await eventually(lambda: backends[0].queue.waiting)
    assert [backend.queue.waiting for backend in backends] == [1, 0]
    if is_free:
        backends[1].queue.release(others[1])
        assert (await asking)[0]["x-polyscribe-engine"] == "engine-2"
    else:
        with pytest.raises(EngineBusy) as told:
            await asking
        assert told.value.tier == "disk"
        assert [backend.queue.running for backend in backends] == [1, 1]
    assert account.held() == 0


async def test_an_answer_says_how_near_its_style_was(account, engine, ask):
    states = [(await ask())[0]["x-adapter-state"] for _ in range(2)]
    assert states == ["disk", "warm"]
