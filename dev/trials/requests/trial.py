"""`trials requests`: no request kills an engine, nor changes what a neighbour is answered meanwhile."""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from labs.chat_client import CHAT, ChatClient, Outcome, open_client, run_concurrently
from labs.site import run_in_site
from stack.errors import Miss
from stack.folders import Folders, shown
from stack.processes import TAG, read_start_ticks
from trials.harness import Context, Tenant, Verdict, create_tenants, run_on_own_stack

MAX_PARALLEL = 6
CAP_TOKENS = 10**12
LONGEST_S = 7200.0  # then no further case is begun
# How the processes that hold a model name themselves: vLLM's core, a replica of a Ray cluster.
CORES = ("VLLM::EngineCore", "ray::ServeReplica:default:Replica")
WITNESS = {
    "messages": [{"role": "user", "content": "Describe a morning in the city."}],
    "max_tokens": 8,
    "temperature": 0,
}
WITNESSES = ("base", "poetry")
DEATHS_ENOUGH = 5
EVERY_CASES = 50


@dataclass(frozen=True)
class Case:
    """One request."""

    path: str
    body: Mapping[str, object]

    def described(self) -> str:
        """Return it in a line that can be sent again, if it isn't too long."""
        return f"POST {self.path} {json.dumps(self.body)[:1000]}"


@dataclass
class RequestsVerdict(Verdict):
    """What the trial found. `disturbed` are the witness's answers that were missing or different."""

    title = "REQUESTS"

    seed: int
    cases: int = 0
    deaths: int = 0
    witnessed: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    disturbed: list[str] = field(default_factory=list)
    suspects: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def refused(self) -> int:
        """How many requests were refused, whatever for."""
        return sum(count for status, count in self.statuses.items() if status.startswith("4"))

    @property
    def is_good(self) -> bool:
        """True if nothing was found, the witness spoke, and enough was served to find something."""
        served = self.statuses["200"]
        return not (self.deaths or self.disturbed) and self.witnessed > 0 and served > self.cases / 4

    def figures(self) -> dict[str, object]:
        return {
            "cases": self.cases,
            "refused": self.refused,
            "deaths": self.deaths,
            "disturbed": len(self.disturbed),
        }


def requests(*, first: int, seed: int) -> int:
    """Run the trial on a stack of its own; return 0 if the verdict is good."""
    os.environ.setdefault("ENGINE_DTYPE", "float32")  # exact: the witness's texts must stay to the letter

    def draw_and_send(context: Context) -> RequestsVerdict:
        drawn = run_in_site("trials.requests.cases.draw_plain", context.variables, seed=seed)
        return trial(context, cases=[Case(**case) for case in drawn[first:]], seed=seed)

    return run_on_own_stack("requests", draw_and_send)


def trial(
    context: Context, *, cases: Sequence[Case], seed: int, longest_s: float = LONGEST_S
) -> RequestsVerdict:
    """Send cases through the gateway, some at once, and let a witness of another tenant ask meanwhile.

    After so many seconds no more are begun: what the machine didn't come to stays for another seed."""
    sender, witness = create_tenants(context.variables, {"sender": CAP_TOKENS, "witness": CAP_TOKENS})
    context.say(f"\nrequests: {len(cases)} cases, seed {seed}, notes in {shown(context.notes)}/")
    verdict = RequestsVerdict(seed)
    asyncio.run(_Run(context, verdict, longest_s).all(cases, sender, witness))
    counts = ", ".join(f"{status} {count}" for status, count in verdict.statuses.most_common())
    context.say(f"  answers: {counts}; the witness asked {verdict.witnessed} times")
    verdict.write(context.notes)
    for what in (*verdict.disturbed[:5], *verdict.suspects[:20]):
        context.say(f"  ! {what}")
    return verdict


class _Run:
    """One run of the trial."""

    def __init__(self, context: Context, verdict: RequestsVerdict, longest_s: float) -> None:
        self._context = context
        self._verdict = verdict
        self._under_way: dict[int, Case] = {}
        self._began_s = time.monotonic()
        self._until_s = self._began_s + longest_s

    async def all(self, cases: Sequence[Case], sender: Tenant, witness: Tenant) -> None:
        site = self._context.variables["SITE_URL"]
        async with (
            open_client(site, key=sender.api_key) as client,
            open_client(site, key=witness.api_key) as neighbour,
        ):
            right = {model: await _ask_witness(neighbour, model) for model in WITNESSES}
            over = asyncio.Event()
            watching = asyncio.create_task(self._watch(neighbour, right, over))

            async def send(job: tuple[int, Case]) -> None:
                await self._send(client, *job)

            await run_concurrently(self._until_over(cases), send, at_once=MAX_PARALLEL)
            over.set()
            await watching

    def _until_over(self, cases: Sequence[Case]) -> Iterator[tuple[int, Case]]:
        """Yield numbered cases until the time is over, the trial is stopped or enough engines have died."""
        for number, case in enumerate(cases):
            is_late = time.monotonic() > self._until_s
            if is_late or self._context.stopping.is_set() or self._verdict.deaths >= DEATHS_ENOUGH:
                return
            yield number, case

    async def _send(self, client: ChatClient, number: int, case: Case) -> None:
        self._under_way[number] = case
        try:
            status, text = await _send(client, case)
            self._count(case, status, text)
        finally:
            del self._under_way[number]

    def _count(self, case: Case, status: str, text: str) -> None:
        verdict = self._verdict
        verdict.cases += 1
        verdict.statuses[status] += 1
        if not status.startswith(("2", "4")):
            verdict.failed.append(f"{status} {text[:200]} {case.described()}")
        if verdict.cases % EVERY_CASES == 0:
            seconds = time.monotonic() - self._began_s
            found = f"{verdict.deaths} deaths, {len(verdict.disturbed)} disturbed"
            self._context.say(f"  {verdict.cases} cases in {seconds:.0f} s, {found}")

    async def _watch(self, client: ChatClient, right: Mapping[str, str], over: asyncio.Event) -> None:
        """Ask as the witness, one request after the other, and look whether the engine is still the same."""
        lives = await asyncio.to_thread(cores, self._context.folders)
        if not lives:
            raise Miss("No process of this stack's engine was found: its deaths can't be counted.")
        while True:
            is_last = over.is_set()
            for model, expected in right.items():
                suspects = [case.described() for case in self._under_way.values()]
                said = await _ask_witness(client, model)
                self._verdict.witnessed += 1
                if said != expected:
                    self._verdict.disturbed.append(f"{model}: {expected!r} became {said!r}")
                    self._verdict.suspects += suspects
                now = await asyncio.to_thread(cores, self._context.folders)
                self._verdict.deaths += len(lives - now)
                if lives - now:
                    self._verdict.suspects += suspects
                lives = now
            if is_last:
                return


async def _send(client: ChatClient, case: Case) -> tuple[str, str]:
    """Return a case's status, or what kept it from having one, and the answer's text."""
    reply = await client.post(case.path, case.body)
    text = reply.body.decode(errors="replace")
    if reply.outcome == Outcome.CUT_SHORT:
        return "broken stream", text
    return reply.error or str(reply.status), text


async def _ask_witness(client: ChatClient, model: str) -> str:
    """Return what the model answers the witness: its text, or the status instead of one."""
    reply = await client.post(CHAT, {"model": model, **WITNESS})
    if reply.outcome != Outcome.COMPLETE:
        return reply.describe_failure()
    return reply.text


def cores(stack: Folders) -> set[tuple[int, int]]:
    """Return the processes of a stack that hold a model: their numbers and when each began."""
    records = [json.loads(record.read_text()) for record in stack.pids.glob("engine*.json")]
    sessions = {record["pid"] for record in records}
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):  # it has ended meanwhile
            # vLLM writes its title over its variables; Ray's processes leave the session.
            is_core = "".join(process.cmdline()[:1]).startswith(CORES)
            if is_core and (
                os.getsid(process.pid) in sessions or process.environ().get(TAG) == str(stack.var)
            ):
                found.add((process.pid, read_start_ticks(process.pid)))
    return found
