"""`make quota-storm PEER=litellm`: the same storm against another gateway's budget, before the stub engine.

It judges nothing of ours: it prints by how many tokens the peer's budget was overshot.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench import targets
from bench.targets import Starter, Target
from labs.chat_client import Outcome, Reply, open_client, run_concurrently
from labs.fake_vllm.prepared_bytes import PACED, PROMPT_TOKENS, TOKENS
from labs.machine import Cores
from stack import services
from stack.errors import MissingPrerequisite, StackError
from stack.folders import temporary
from stack.ports import Ports
from stack.steps import Steps
from trials.harness import make_notes_folder
from trials.verdict import Verdict

EACH_TOKENS = PROMPT_TOKENS + TOKENS  # what the stub reports of every request
FIT = 20  # as many as fit under our own cap
CAP_TOKENS = (
    FIT * EACH_TOKENS
)  # bench/peers/litellm-budget.yaml has it in money, a millionth of a dollar a token
SETTLED_AFTER_S = 5.0  # LiteLLM writes what was spent to Valkey once a second
AFTERWARDS = 5
PEERS = ("litellm",)  # those that have a budget and need no database for it


@dataclass(frozen=True)
class PeerVerdict(Verdict):
    """What the storm showed of a peer."""

    title = "PEER"

    peer: str
    requests: int
    admitted: int
    refused: int
    broken: int
    admitted_afterwards: int
    cap_tokens: int
    overshoot_tokens: int

    @property
    def is_good(self) -> bool:
        """True if the budget was in force at all, so that the overshoot means something."""
        return self.admitted > 0 and self.admitted_afterwards < AFTERWARDS and not self.broken

    def figures(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "title"}


def main() -> int:
    """Read the command line and run the storm; return 0 if it could be measured. Raises StackError."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", help=", ".join(PEERS))
    parser.add_argument("--requests", type=int, default=500, help="how many (default: 500)")
    options = parser.parse_args()
    return storm_peer(options.peer, requests=options.requests)


def storm_peer(peer: str, *, requests: int) -> int:
    """Run the storm; return 0 if it could be measured. Raises MissingPrerequisite."""
    if peer not in PEERS:
        raise MissingPrerequisite(f"There is no storm for {peer!r}; choose of {', '.join(PEERS)}.")
    if hint := targets.missing().get(peer):
        raise MissingPrerequisite(hint)
    steps = Steps()
    notes = make_notes_folder("storm-peer")
    with temporary() as folders, services.opened(folders, steps) as stack:
        stack.waiting.all(services.start(stack))
        ports = Ports()
        port = ports.take("stub")
        stack.supervisor.start(targets.stub(port))
        with steps.step(f"{peer} starts"):
            starter = Starter(stack, ports, Cores.here(), port)
            target = starter.litellm(config="litellm-budget.yaml")
        replies = asyncio.run(fire(target, requests, at_once=requests))
        time.sleep(SETTLED_AFTER_S)
        afterwards = asyncio.run(fire(target, AFTERWARDS, at_once=1))
    verdict = judge(peer, replies, afterwards)
    describe(notes, verdict, [*replies, *afterwards])
    print(verdict.line(), flush=True)
    return 0 if verdict.is_good else 1


async def fire(target: Target, requests: int, *, at_once: int) -> list[Reply]:
    """Return the answers to so many requests, each a stream of a third of a second."""
    async with open_client(target.url, key=target.key) as client:
        return await run_concurrently(
            range(requests), lambda _: client.chat(PACED, "Rain?", max_tokens=TOKENS), at_once=at_once
        )


def judge(peer: str, replies: list[Reply], afterwards: list[Reply]) -> PeerVerdict:
    """Count what was admitted: each answer has as many tokens as the stub reports."""
    outcomes = Counter(reply.outcome for reply in replies)
    admitted = outcomes[Outcome.COMPLETE]
    admitted_afterwards = sum(reply.outcome == Outcome.COMPLETE for reply in afterwards)
    used_tokens = (admitted + admitted_afterwards) * EACH_TOKENS
    return PeerVerdict(
        peer=peer,
        requests=len(replies),
        admitted=admitted,
        refused=outcomes[Outcome.REFUSED],
        broken=len(replies) - admitted - outcomes[Outcome.REFUSED],
        admitted_afterwards=admitted_afterwards,
        cap_tokens=CAP_TOKENS,
        overshoot_tokens=max(0, used_tokens - CAP_TOKENS),
    )


def describe(notes: Path, verdict: PeerVerdict, replies: list[Reply]) -> None:
    """Write the verdict, and why requests were refused."""
    reasons = Counter(reply.describe_failure() for reply in replies if reply.outcome != Outcome.COMPLETE)
    for reason, count in reasons.most_common(3):
        print(f"  {count} times {reason}")
    verdict.write(notes, reasons=dict(reasons))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StackError as error:
        sys.exit(f"\n✗ {error}")
