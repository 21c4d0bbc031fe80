"""What the trials share: a stack that is kept up meanwhile, tenants, and an eye on a cap."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

import aiohttp
import psycopg
import redis

from labs import machine, report
from labs.site import run_in_site
from stack import engine, environment, services
from stack.errors import Interrupted, Miss, ServiceFailed
from stack.folders import ROOT, Folders, shown
from stack.processes import POLL_S
from stack.run import folder
from stack.services import Stack
from stack.steps import Steps
from stack.whole import bring_up
from trials.usage_records import UsageRecords

# How every trial ends: one line with its verdict, and a file with all details.


type Say = Callable[[str], None]


class Verdict:
    """What a trial found; each trial's own verdict is a dataclass of this kind."""

    title: ClassVar[str]
    must_be_empty: ClassVar[tuple[str, ...]] = ()  # fields, or 0

    @property
    def is_good(self) -> bool:
        """True if nothing was found, and enough was tried to find something."""
        return not any(getattr(self, name) for name in self.must_be_empty)

    def figures(self) -> Mapping[str, object]:
        """Return what the last line names: every number that was found, and how many of each list."""
        found: dict[str, object] = {}
        for name, value in vars(self).items():
            if isinstance(value, int | float):
                found[name] = value
            elif isinstance(value, list | tuple):
                found[name] = len(value)
        return found

    def line(self) -> str:
        """Return the last line that the trial prints."""
        figures = [f"{name}={value}" for name, value in self.figures().items()]
        return " ".join([self.title, "OK" if self.is_good else "FAILED", *figures])

    def details(self) -> dict[str, object]:
        """Return everything that was found, for a file."""
        return {"verdict": self.line(), **vars(self)}

    def write(self, notes: Path, **more: object) -> Path:
        """Write all details, and more, beside the trial's notes; return the file."""
        file = notes / "verdict.json"
        file.write_text(json.dumps(self.details() | more, indent=2))
        return file

    def published(self) -> dict[str, object]:
        """Return what is found in `bench/results` of it."""
        return self.details()

    def publish(self, name: str, **more: object) -> None:
        """Write what is published, and more, into a file that the documents may name."""
        write_result(name, {**more, **self.published()})


def write_result(name: str, facts: Mapping[str, object]) -> None:
    """Write a file into bench/results, with the machine that it is of."""
    report.write_results(name, {"cores": os.cpu_count(), "machine": machine.model(), **facts})


SAMPLE_EVERY_S = 0.2
PRICED = "genz"  # a shipped style that has a price of its own during a trial
SHARE_PERCENT = 33  # so that most requests' shares are rounded
OWN_PRICES = (200, 50, 800)  # twice the shipped ones: input, cached input, output, in nano-USD a token
# Of a layer's norm: nearly every adapter writes a text of its own within a few words.
OF_THEIR_OWN = ("--scale", "0.4")
QUIET_WITHIN_S = 180.0  # a lease is 30 s, and events of a drain that died are taken over after 60 s


@dataclass(frozen=True)
class Tenant:
    """A tenant that was made for a trial, with a hard monthly cap; or with credits, which are all it has."""

    id: str
    name: str
    monthly_tokens: int
    api_key: str
    credit_nanousd: int | None = None


@dataclass(frozen=True)
class Context:
    """The running stack of a trial: its variables, a folder for notes, and how to kill one of its programs.

    Something else must start again what `kill` killed. Without it the trial kills nothing.
    """

    variables: Mapping[str, str]
    notes: Path
    kill: Callable[[str], None] | None = None
    say: Say = print
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def folders(self) -> Folders:
        """The stack's data folder."""
        return Folders(Path(self.variables["DEMO_SECRETS_FILE"]).parent)

    def read_pid(self, program: str) -> int:
        """Return the process id of one of the stack's programs."""
        return int(json.loads((self.folders.pids / f"{program}.json").read_text())["pid"])

    def wait_until(self, check: Callable[[], bool], *, within_s: float, lack: str) -> None:
        """Wait for a check to hold. Raises Miss, which says what is lacking, and Interrupted."""
        until_s = time.monotonic() + within_s
        while not check():
            if time.monotonic() > until_s:
                raise Miss(f"After {within_s:.0f} s {lack}.")
            pause(self.stopping, POLL_S)

    def read_secrets(self) -> dict[str, str]:
        """Return the demo's login, password and API key."""
        return dict(json.loads(Path(self.variables["DEMO_SECRETS_FILE"]).read_text()))


def beside_running_stack(name: str, kill: Callable[[str], None] | None = None) -> Context:
    """Return the context of a trial on the stack whose variables this process has."""
    return Context(os.environ, make_notes_folder(name), kill)


def run_on_own_stack(
    name: str, trial: Callable[[Context], Verdict], *, start: Callable[[Stack], object] = bring_up
) -> int:
    """Bring a stack up, run a trial on it, print its last line and return 0 if that is good.

    Unless it is, the stack's logs are kept beside the trial's notes.
    """
    steps = Steps()
    notes = make_notes_folder(name)
    is_good = False
    with folder(None) as folders, services.opened(folders, steps) as stack:
        up = stack.supervisor
        try:
            start(stack)
            context = Context(stack.variables, notes, up.kill, steps.say, up.stopping)
            verdict = run_beside(stack, partial(trial, context))
            is_good = verdict.is_good
        finally:
            if not is_good:
                shutil.copytree(folders.logs, notes / "log")
                steps.say(f"  ! the stack's logs: {shown(notes / 'log')}/")
    print(verdict.line(), flush=True)
    return 0 if is_good else 1


def run_beside[T](stack: Stack, trial: Callable[[], T]) -> T:
    """Return what a trial in another thread returns; this one, which started all programs, revives them."""
    stopping = stack.supervisor.stopping
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(trial)
        try:
            while not result.done():
                stack.supervisor.revive()
                stopping.wait(POLL_S)
        finally:
            stopping.set()
        return result.result()


def pause(stopping: threading.Event, seconds: float) -> None:
    """Wait. Raises Interrupted when the trial has to stop."""
    if stopping.wait(seconds):
        raise Interrupted("stopped")


def create_tenants(
    variables: Mapping[str, str], caps: Mapping[str, int], *, credits: Mapping[str, int] | None = None
) -> list[Tenant]:
    """Return new tenants by name and monthly cap; those in `credits` have so many nano-USD and no overage.

    Raises ServiceFailed.
    """
    tenants = []
    for name, cap in caps.items():
        credit = (credits or {}).get(name)
        tenants.append({"name": name, "monthly_tokens": cap, "credit_nanousd": credit})
    return [Tenant(**made) for made in run_in_site("tenants.create_tenants", variables, tenants=tenants)]


@dataclass(frozen=True)
class Author:
    """A tenant that earns a share of what others pay for the style PRICED, from a moment (ISO 8601) on."""

    id: str
    percent: int
    style: str
    begins: str


def price_style(variables: Mapping[str, str]) -> Author:
    """Let the style PRICED cost OWN_PRICES, and somebody earn a share of it. Raises ServiceFailed."""
    [author] = create_tenants(variables, {"author": 10**6})
    priced = run_in_site(
        "styles.price_style",
        variables,
        model=PRICED,
        amounts=OWN_PRICES,
        author=author.id,
        percent=SHARE_PERCENT,
    )
    return Author(author.id, SHARE_PERCENT, **priced)


def find_wrong_shares(records: UsageRecords, author: Author) -> list[str]:
    """Return what shows that an author has not exactly its share of each request: none lost, none doubled."""
    costs = records.costs_of_style(author.style, since=author.begins, but_of=author.id)
    due = sum(cost * author.percent // 100 for cost in costs)
    requests, booked = records.earned(author.id)
    if (requests, booked) == (len(costs), due) and due:
        return []
    return [f"the author has {booked} nano-USD of {requests} requests, and {due} of {len(costs)} are due"]


def find_wrong_prices(records: UsageRecords, tenant: Tenant) -> list[str]:
    """Return what shows that a tenant, which asked in PRICED alone, did not pay that style's own price."""
    paid = records.prices(tenant.id)
    return [] if paid == {OWN_PRICES} else [f"{PRICED} was billed at {sorted(paid)}, not at {OWN_PRICES}"]


@contextmanager
def run_modules(
    module: str, works: Iterable[object], *, variables: Mapping[str, str]
) -> Iterator[list[subprocess.Popen[str]]]:
    """Run a module once for each piece of work, a line of JSON on its input; kill what runs at the end.

    Their input stays open: its end tells them that this process wants no more, or is gone.
    """
    begun = []
    try:
        for work in works:
            process = subprocess.Popen(
                [sys.executable, "-m", module],
                env=variables,
                cwd=ROOT,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            begun.append(process)
            print(json.dumps(work), file=process.stdin, flush=True)
        yield begun
    finally:
        for process in begun:
            process.kill()
            process.communicate()


class Watch:
    """Looks at what a bounded tenant used and holds, a few times a second, for as long as it is open."""

    def __init__(self, records: UsageRecords, tenant: Tenant) -> None:
        self._records = records
        self._tenant = tenant
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch")
        self.samples = 0
        self.most_tokens = 0
        self.most_nanousd = 0

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def overshoot_tokens(self) -> int:
        """How far above its cap the tenant ever was."""
        return max(0, self.most_tokens - self._tenant.monthly_tokens)

    @property
    def overspent_nanousd(self) -> int:
        """How far beyond its credits the tenant ever was."""
        return max(0, self.most_nanousd - (self._tenant.credit_nanousd or 0))

    def _look(self) -> None:
        while not self._over.wait(SAMPLE_EVERY_S):
            if in_use := self._records.in_use(self._tenant.id):
                self.samples += 1
                self.most_tokens = max(self.most_tokens, sum(in_use))
                self.most_nanousd = max(self.most_nanousd, self._records.in_use_nanousd(self._tenant.id))


def await_quiet(records: UsageRecords, tenants: Sequence[Tenant], stopping: threading.Event) -> float:
    """Wait until nothing is open and every event has arrived, or long enough; return the seconds."""
    began = time.monotonic()
    while time.monotonic() - began < QUIET_WITHIN_S:
        try:
            if not records.under_way() and not records.left_open(tenant.id for tenant in tenants):
                break
        except (redis.RedisError, psycopg.OperationalError):
            pass  # it was killed last and is coming back
        pause(stopping, 0.5)
    return time.monotonic() - began


def open_engine(variables: Mapping[str, str], *, timeout_s: float) -> aiohttp.ClientSession:
    """Return a client for vLLM's own interface, at a port or a socket.

    It makes a connection for each request: that an idle one is closed in the moment of asking is no death.
    """
    base_url, socket_path = environment.split_address(variables["ENGINE_URL"])
    connector: aiohttp.BaseConnector = aiohttp.TCPConnector(force_close=True)
    if socket_path:
        connector = aiohttp.UnixConnector(socket_path, force_close=True)
    return aiohttp.ClientSession(
        base_url,
        headers={"Authorization": f"Bearer {variables['ENGINE_API_KEY']}"},
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        connector=connector,
    )


def make_notes_folder(trial: str) -> Path:
    """Return a new folder for what a trial writes down; `make clean` removes it."""
    parent = ROOT / "var" / "trials"
    parent.mkdir(parents=True, exist_ok=True)
    number = len(list(parent.glob(f"{trial}-*"))) + 1
    folder = parent / f"{trial}-{number}"
    folder.mkdir()
    return folder


def make_adapters(
    base: str, folder: Path, *, count: int, rank: int, options: Sequence[str] = OF_THEIR_OWN
) -> list[Path]:
    """Return the folders of small random adapters. Raises ServiceFailed."""
    script = str(ROOT / "dev" / "labs" / "engine" / "generate.py")
    command = [str(engine.PYTHON), script, "--base", base, "--out", str(folder), *options]
    command += ["--count", str(count), "--rank", str(rank)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ServiceFailed(f"The random adapters were not made: {done.stderr.strip()[-300:]}")
    return sorted(folder.iterdir())


def take_paragraphs(words: int) -> list[str]:
    """Return paragraphs of about so many words, no two alike.

    They are of the novels in the folder NOVELS; without it, of this project's own guides, but their tables,
    lists and code.
    """
    novels = os.environ.get("NOVELS")
    files = Path(novels).glob("*.txt") if novels else (ROOT / "docs").glob("*.md")
    taken: dict[str, None] = {}  # in order, and each once
    words_taken = 0
    for file in sorted(files):
        for paragraph in file.read_text().split("\n\n"):
            if words_taken >= words:
                break
            text = " ".join(paragraph.split())
            if text[:1].isalpha() and text not in taken:
                taken[text] = None
                words_taken += len(text.split())
    return list(taken)
