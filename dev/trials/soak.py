"""`trials soak`: the whole stack under mixed load for half an hour; no fault, flat memory, exact books.

Three processes ask for styles in three workspaces, streamed and not, and hang up on some; the demo's writer
uploads a version a minute through the management API, promotes it, asks in it and retires the one before.
"""

import asyncio
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import linear_regression, median

import httpx2

from labs import machine
from labs.chat_client import CHAT, Outcome, open_client
from stack.api import Api, Upload, await_serving, upload_style
from stack.application import WORKERS
from stack.errors import Miss
from stack.folders import ROOT, shown
from trials.chaos.load import Seen, draw_body
from trials.chaos.trial import keep_asking
from trials.chaos.verdict import count_names, is_billed_once, read_seen
from trials.harness import (
    Context,
    Say,
    Tenant,
    Verdict,
    await_quiet,
    create_tenants,
    make_adapters,
    pause,
    run_on_own_stack,
)
from trials.usage_records import UsageRecords

SAMPLE_EVERY_S = 5.0
UPLOAD_EVERY_S = 60.0
VERSIONS_A_STYLE = 4
SERVES_WITHIN_S = 180.0
# A process that has run for less is still filling its caches: its memory is told and not judged.
SETTLED_S = 1200.0
GROWTH_SHARE = 0.10
GROWTH_MIB = 32.0
WATCHED = ("web", "engine", *WORKERS)
CODE = re.compile(r"`([a-z_]+)`")


@dataclass(frozen=True)
class Growth:
    """How a program's memory went after a third of the run, when its caches are filled."""

    middle_mib: float
    mib_an_hour: float
    mib_until_end: float

    @property
    def is_flat(self) -> bool:
        """True if it grew by a tenth, or 32 MiB, at most."""
        return self.mib_until_end <= max(GROWTH_MIB, GROWTH_SHARE * self.middle_mib)


@dataclass
class Memory:
    """The resident memory of the stack's programs, sample by sample."""

    context: Context
    at_s: list[float] = field(default_factory=list)
    mib: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in WATCHED})

    def sample(self) -> None:
        """Look at every program once."""
        self.at_s.append(time.monotonic())
        for name, found in self.mib.items():
            found.append(machine.rss_mib(self.context.read_pid(name)))

    def growths(self) -> dict[str, Growth]:
        """Return each program's growth, by a straight line through its samples."""
        first = len(self.at_s) // 3
        times = self.at_s[first:]
        growths = {}
        for name, found in self.mib.items():
            mib_a_second = linear_regression(times, found[first:]).slope
            growths[name] = Growth(
                middle_mib=round(median(found[first:]), 1),
                mib_an_hour=round(3600 * mib_a_second, 1),
                mib_until_end=round((times[-1] - times[0]) * mib_a_second, 1),
            )
        return growths


@dataclass
class Uploads:
    """What became of the writer's uploads, and the requests in what it uploaded."""

    served: int = 0
    faults: list[str] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)


@dataclass(frozen=True)
class SoakVerdict(Verdict):
    """What happened, and what must not have."""

    title = "SOAK"
    must_be_empty = ("undocumented", "lost", "doubled", "leaked", "grown", "wanting")

    seconds: float
    requests: int
    outcomes: str
    refusals: str
    uploads: int
    memory: Mapping[str, Growth]
    undocumented: Sequence[str]
    lost: Sequence[str]
    doubled: Sequence[str]
    leaked: Sequence[str]
    grown: Sequence[str]
    wanting: Sequence[str]

    def details(self) -> dict[str, object]:
        """Return everything that was found, for a file."""
        memory = {name: asdict(growth) for name, growth in self.memory.items()}
        return {**super().details(), "memory": memory}


def soak(*, minutes: float) -> int:
    """Run the trial on a stack of its own; return 0 if the verdict is good."""
    return run_on_own_stack("soak", partial(trial, seconds=60 * minutes))


def trial(context: Context, *, seconds: float) -> SoakVerdict:
    """Load the stack, upload meanwhile, then compare what clients saw with the usage records."""
    variables = context.variables
    records = UsageRecords(variables)
    memory = Memory(context)
    tenants = create_tenants(variables, {f"soak-{number}": 10**9 for number in range(1, 4)})
    folders = make_adapters(variables["BASE_MODEL_DIR"], context.notes / "adapters", count=3, rank=8)
    context.say(f"\nsoak: {seconds:.0f} s, notes in {shown(context.notes)}/")
    began_s = time.monotonic()
    with keep_asking(context, tenants, seed=1) as wanting:
        writer = Writer(context, folders)
        writer.thread.start()
        while time.monotonic() < began_s + seconds:
            memory.sample()
            pause(context.stopping, SAMPLE_EVERY_S)
        writer.end()
    await_quiet(records, tenants, context.stopping)
    wanting += writer.uploads.faults
    wanting += run_checks(variables)
    seen = read_seen(context.notes)
    verdict = judge(records, tenants, seen, memory, seconds=seconds, uploads=writer.uploads, wanting=wanting)
    verdict.write(context.notes)
    verdict.publish("soak", judges_memory=seconds >= SETTLED_S)
    report(verdict, context.say)
    return verdict


class Writer:
    """Uploads version after version in a thread, as a person's script would."""

    def __init__(self, context: Context, folders: Sequence[Path]) -> None:
        self._site = context.variables["SITE_URL"]
        self._key = context.read_secrets()["api_key"]
        self._folders = folders
        self._stopping = context.stopping
        self._over = threading.Event()
        self.uploads = Uploads()
        self.thread = threading.Thread(target=self._upload_until_over, name="writer")

    def end(self) -> None:
        """Begin no further upload, and wait for the one that runs."""
        self._over.set()
        self.thread.join()

    def _upload_until_over(self) -> None:
        last: Upload | None = None
        with Api(self._site, self._key) as api:
            while not self._over.is_set() and not self._stopping.is_set():
                next_at_s = time.monotonic() + UPLOAD_EVERY_S
                try:
                    last = self._upload_one(api, last)
                except (Miss, httpx2.HTTPError) as error:
                    self.uploads.faults.append(f"upload: {error!r}")
                    last = None
                self._over.wait(max(0.0, next_at_s - time.monotonic()))

    def _upload_one(self, api: Api, last: Upload | None) -> Upload:
        """Upload a version, of a new style now and then; let it answer, ask it, retire the one before."""
        folder = self._folders[self.uploads.served % len(self._folders)]
        before = last if last and last.number < VERSIONS_A_STYLE else None
        upload = upload_style(api, folder, after=before)
        await_serving(api, upload, within_s=SERVES_WITHIN_S)
        if before:
            api.post(f"styles/{upload.style}/versions/{upload.number}/promote")
            api.post(f"styles/{upload.style}/versions/{before.number}/retire")
        self.uploads.served += 1
        self.uploads.seen.append(asyncio.run(self._ask(upload.model)))
        return upload

    async def _ask(self, model: str) -> Seen:
        seen = Seen("writer", model, stream=True)
        body = draw_body(seen, random.Random(self.uploads.served))
        async with open_client(self._site, connect_s=5) as client:
            seen.note(await client.post(CHAT, body, key=self._key))
        return seen


def run_checks(variables: Mapping[str, str]) -> list[str]:
    """Return what the product's own commands say against its books and its audit log."""
    faults = []
    for command in ("reconcile", "verify_audit"):
        done = subprocess.run(
            [sys.executable, "manage.py", command], env=variables, cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode:
            faults.append(f"manage.py {command}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return faults


def judge(
    records: UsageRecords,
    tenants: Sequence[Tenant],
    seen: Sequence[Seen],
    memory: Memory,
    *,
    seconds: float,
    uploads: Uploads,
    wanting: Sequence[str],
) -> SoakVerdict:
    """Compare what the clients saw with what the books and the guide say."""
    ids = [tenant.id for tenant in tenants]
    events = records.events(ids)
    complete = [request for request in seen if request.outcome == Outcome.COMPLETE]
    refused = [request for request in seen if request.outcome == Outcome.REFUSED]
    twice = [request_id for request_id, found in events.items() if len(found) > 1]
    too_little = [] if complete and uploads.served else ["nothing was answered, or nothing uploaded"]
    unanswered = [request for request in uploads.seen if request.outcome != Outcome.COMPLETE]
    too_little += [f"asked in a new version: {request}" for request in unanswered]
    growths = memory.growths()
    grown = [f"{name} by {one.mib_until_end} MiB" for name, one in growths.items() if not one.is_flat]
    return SoakVerdict(
        seconds=round(seconds),
        requests=len(seen) + len(uploads.seen),
        outcomes=count_names(request.outcome for request in seen),
        refusals=count_names(f"{request.status} {request.code}" for request in refused),
        uploads=uploads.served,
        memory=growths,
        undocumented=find_undocumented([*seen, *uploads.seen]),
        lost=[request.request_id for request in complete if not is_billed_once(request, events)],
        doubled=[*twice, *records.charged_twice(ids), *records.disagreements(ids)],
        leaked=records.left_open(ids),
        grown=grown if seconds >= SETTLED_S else [],
        wanting=[*wanting, *too_little],
    )


def find_undocumented(seen: Sequence[Seen]) -> list[str]:
    """Return what clients met that docs/api.md does not tell of: broken answers, and unknown codes."""
    known = set(CODE.findall((ROOT / "docs" / "api.md").read_text()))
    faults = []
    for request in seen:
        has_code = request.outcome in (Outcome.REFUSED, Outcome.CUT_SHORT)
        is_unknown = has_code and request.code not in known
        if request.outcome == Outcome.BROKEN or is_unknown:
            faults.append(f"{request.request_id} {request.outcome} {request.status} {request.code}")
    return faults


def report(verdict: SoakVerdict, say: Say) -> None:
    """Print what happened."""
    say(f"  requests  {verdict.outcomes}")
    say(f"  refused   {verdict.refusals}")
    for name, one in verdict.memory.items():
        say(f"  {name:<22}{one.middle_mib:8.0f} MiB  {one.mib_an_hour:+8.1f} MiB an hour")
    for reason in [*verdict.undocumented[:20], *verdict.grown, *verdict.wanting]:
        say(f"  ! {reason}")
