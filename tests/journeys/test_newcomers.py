"""Whoever runs nothing gets a first token at once, whatever eight others ask of the real engine."""

import asyncio
import json
import os
import time
from pathlib import Path

import pytest

from labs.chat_client import CHAT, COMPLETIONS, ChatClient, Outcome, open_client
from tests.journeys.conftest import run_engine_script
from trials.harness import create_tenants

pytestmark = [pytest.mark.alone, pytest.mark.rotates]

TRY_TURNS = Path(__file__).with_name("try_turns.py")
OTHERS = 8
FIRST_TOKEN_S = 5.0
# On a machine that others use, too, a step takes longer, and so does a quiet engine's first token.
TIMES_QUIET = 5
LONG_PROMPT = "Write about the sea and the wind and the rain and the fish. " * 100
QUESTIONS = 4

ATTACKS = {
    "many long sequences": lambda number: (CHAT, chat("Write a long text.", n=4, max_tokens=400)),
    "long prompts": lambda number: (CHAT, chat(f"{number} {LONG_PROMPT}", max_tokens=100)),
    "more sequences than places": lambda number: (
        COMPLETIONS,
        {"model": "legal", "prompt": ["Once "] * 4, "n": 4, "max_tokens": 400},
    ),
}


def chat(content, **more):
    return {"model": "legal", "messages": [{"role": "user", "content": content}]} | more


@pytest.fixture(scope="module")
def tenants():
    names = ["newcomer", *(f"other-{number}" for number in range(OTHERS))]
    return [tenant.api_key for tenant in create_tenants(os.environ, dict.fromkeys(names, 10**9))]


async def ask_s(client: ChatClient, key: str) -> float:
    reply = await client.chat("poetry", "What is rain?", key=key, max_tokens=2, timeout_s=600)
    assert reply.outcome == Outcome.COMPLETE, reply.describe_failure()
    return reply.first_token_s


async def keep_asking(client: ChatClient, key: str, request) -> None:
    number = 0
    while True:
        number += 1
        path, body = request(f"{key[-4:]} {number}")
        await client.post(path, body, key=key)


async def measure(tenants, request) -> tuple[float, list[float]]:
    newcomer, *others = tenants
    async with open_client(os.environ["SITE_URL"], total_s=600) as client:
        for _ in range(2):
            quiet_s = await ask_s(client, newcomer)
        attacking = [
            asyncio.create_task(keep_asking(client, key, request)) for key in others for _ in range(2)
        ]
        try:
            await asyncio.sleep(20)  # until the engine is full of them
            times_s = [await ask_s(client, newcomer) for _ in range(QUESTIONS)]
        finally:
            for task in attacking:
                task.cancel()
            await asyncio.gather(*attacking, return_exceptions=True)
        return quiet_s, times_s


async def wait_until_quiet(tenants) -> float:
    """Return after how many seconds the engine answers as before: hung-up answers have ended there."""
    began_s = time.monotonic()
    async with open_client(os.environ["SITE_URL"]) as client:
        while await ask_s(client, tenants[0]) > FIRST_TOKEN_S and time.monotonic() < began_s + 60:
            pass
    return time.monotonic() - began_s


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_newcomers_first_token_comes_within_seconds_whatever_eight_others_ask(tenants, attack, demo):
    quiet_s, times_s = asyncio.run(measure(tenants, ATTACKS[attack]))
    calm_s = asyncio.run(wait_until_quiet(tenants))
    print(f"{attack}: quiet {quiet_s:.2f} s, then {times_s}, calm after {calm_s:.1f} s")
    assert max(times_s) <= max(FIRST_TOKEN_S, TIMES_QUIET * quiet_s)


@pytest.fixture(scope="module")
def tried() -> dict:
    """What vLLM's real scheduler does on a clock of its own, with steps as on two quiet cores."""
    return json.loads(run_engine_script(TRY_TURNS))


def test_by_the_engines_own_clock_a_newcomer_waits_for_a_moment_and_without_turns_for_long(tried):
    for attack, found in tried.items():
        if "slow machine" not in attack:
            assert found["ours"]["worst_s"] <= 1, attack
            assert found["vllm"]["worst_s"] > 10, attack


def test_turns_cost_no_more_than_a_part_and_keep_every_pool_writing(tried):
    for attack, found in tried.items():
        fewest, most = found["ours"]["fewest_and_most_tokens_of_a_pool"]
        assert fewest >= most / 4, attack
        assert found["ours"]["tokens_a_s"] >= 0.55 * found["vllm"]["tokens_a_s"], attack
