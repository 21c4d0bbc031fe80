"""`trials chaos`: every part is killed again and again under load; nothing is lost, doubled or left held."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, islice
from typing import Any

from stack import engine
from stack.application import WORKERS
from stack.folders import shown
from trials.chaos.verdict import ChaosVerdict, Kill, judge, read_seen
from trials.harness import (
    PRICED,
    Context,
    Say,
    Tenant,
    Watch,
    await_quiet,
    create_tenants,
    find_wrong_prices,
    find_wrong_shares,
    pause,
    price_style,
    run_modules,
    run_on_own_stack,
)
from trials.usage_records import UsageRecords

OTHERS = ("web", *WORKERS, "valkey", "postgres")
KILLS_AN_ENGINE_KILL = 15  # vLLM takes a minute or two to come back
KILLS_WITHOUT_ENGINE = 4  # then the engine is awaited, or hardly a request would ever succeed
GAP_S = (2.0, 8.0)
LONGEST_S = 1200.0  # then no further part is killed
CALM_S = 15.0  # of load before the first kill and after the last
ENGINE_WITHIN_S = 400.0
LOADS = 3
CLIENTS = 3
ROOMY = "roomy"
CAPPED = "capped"
PREPAID = "prepaid"  # without overage: its credits are all that it may spend
CREDIT_A_KILL_NANOUSD = 20_000  # likewise: about one answer at the prices of the style that it asks for
CAP_A_KILL = 50  # tokens: about one answer; so few that the cap is met during the trial


@dataclass
class Killer:
    """Kills one part at a time, in a seeded order, and knows when the engine was away."""

    kill: Callable[[str], None]
    engine_ready: Callable[[], bool]
    stopping: threading.Event
    say: Say
    done: list[Kill] = field(default_factory=list)
    engine_away: list[tuple[float, float]] = field(default_factory=list)

    def run(self, order: Sequence[str], *, chance: random.Random, until: float) -> None:
        """Kill in this order, seconds apart, until the time is over; then wait for the engine."""
        meanwhile = 0
        for number, part in enumerate(order, 1):
            pause(self.stopping, chance.uniform(*GAP_S))
            if time.monotonic() > until:
                self.say(f"  ! the time is over after {number - 1} of {len(order)} kills")
                break
            if self._engine_is_away() and (part == "engine" or meanwhile == KILLS_WITHOUT_ENGINE):
                self.await_engine()
            meanwhile = meanwhile + 1 if self._engine_is_away() else 0
            self.kill_part(part)
            self.say(f"  kill {number:>2}/{len(order)}  {part}")
        self.await_engine()

    def kill_part(self, part: str) -> None:
        """Kill one part."""
        self.kill(part)
        self.done.append(Kill(part, time.time()))
        if part == "engine":
            self.engine_away.append((time.time(), 0.0))

    def await_engine(self) -> None:
        """Wait until the engine lists its models again."""
        began = time.monotonic()
        until = time.monotonic() + ENGINE_WITHIN_S
        while self._engine_is_away() and time.monotonic() < until:
            pause(self.stopping, 0.5)
        if time.monotonic() - began > 1:
            self.say(f"  … waited {time.monotonic() - began:.0f} s for the engine")

    def _engine_is_away(self) -> bool:
        if not self.engine_away or self.engine_away[-1][1]:
            return False
        if self.engine_ready():
            self.engine_away[-1] = (self.engine_away[-1][0], time.time())
        return not self.engine_away[-1][1]


def chaos(*, kills: int, seed: int | None) -> int:
    """Run the trial on a stack of its own, in a temporary folder; return 0 if the verdict is good."""
    return run_on_own_stack("chaos", partial(trial, kills=kills, seed=seed))


def trial(context: Context, *, kills: int, seed: int | None = None) -> ChaosVerdict:
    """Load a stack, kill its parts, wait until it is quiet, compare what clients saw with the ledger."""
    assert context.kill
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    variables = context.variables
    stopping = context.stopping
    chance = random.Random(seed)
    records = UsageRecords(variables)
    began = time.monotonic()
    author = price_style(variables)
    tenants = create_tenants(
        variables,
        {ROOMY: 10**9, f"{ROOMY}-2": 10**9, PREPAID: 10**9, CAPPED: CAP_A_KILL * kills},
        credits={PREPAID: CREDIT_A_KILL_NANOUSD * kills},
    )
    prepaid = tenants[-2]
    ready = partial(engine.ready, variables["ENGINE_URL"], variables["ENGINE_API_KEY"])
    killer = Killer(context.kill, ready, stopping, context.say)
    context.say(f"\nchaos: {kills} kills, seed {seed}, notes in {shown(context.notes)}/")
    with Watch(records, tenants[-1]) as watch, Watch(records, prepaid) as purse:
        with keep_asking(context, tenants, seed=seed) as wanting:
            pause(stopping, CALM_S)
            order = draw_order(kills, chance, variables)
            killer.run(order, chance=chance, until=began + LONGEST_S)
            pause(stopping, CALM_S)
        quiet_s = await_quiet(records, tenants, stopping)
    wanting += find_wrong_prices(records, prepaid)
    wanting += find_wrong_shares(records, author)
    verdict = judge(
        records,
        tenants,
        read_seen(context.notes),
        kills=killer.done,
        engine_away=killer.engine_away,
        watch=watch,
        purse=purse,
        wanting=wanting,
    )
    capped = f"{records.used(tenants[-1].id)} of {tenants[-1].monthly_tokens} tokens used, at most "
    facts = {
        "capped tenant": f"{capped}{watch.most_tokens} used and held in {watch.samples} samples",
        "prepaid tenant": f"{records.spent_nanousd(prepaid.id)} of {prepaid.credit_nanousd} nano-USD spent",
        "author's share": "{1} nano-USD of {0} requests".format(*records.earned(author.id)),
        "usage events set apart": str(records.refused()),
        "seconds": f"{time.monotonic() - began:.0f}, {quiet_s:.0f} of them until all was recorded",
    }
    report(verdict, facts, context)
    return verdict


def report(verdict: ChaosVerdict, facts: Mapping[str, str], context: Context) -> None:
    """Print the table, and write all details into a file."""
    file = verdict.write(context.notes, facts=facts)
    lines = [f"  {name:<24}{text}" for name, text in {**verdict.table(), **facts}.items()]
    context.say("\n" + "\n".join(lines))
    for reason in verdict.wanting:
        context.say(f"  ! {reason}")
    if not verdict.is_good:
        context.say(f"  ! every offending request: {shown(file)}")


def draw_order(kills: int, chance: random.Random, variables: Mapping[str, str]) -> list[str]:
    """Return what to kill one after the other: the engine seldom, and only ours; the others equally often."""
    own_urls = (f"http://127.0.0.1:{variables['ENGINE_PORT']}", f"unix://{variables['ENGINE_SOCKET']}")
    is_ours = variables["ENGINE_URL"] in own_urls
    engines = max(1, kills // KILLS_AN_ENGINE_KILL) if is_ours else 0
    order = list(islice(cycle(OTHERS), kills - engines))
    chance.shuffle(order)
    for number in range(engines):
        order.insert((number + 1) * kills // (engines + 1), "engine")
    return order


@contextmanager
def keep_asking(context: Context, tenants: Sequence[Tenant], *, seed: int) -> Iterator[list[str]]:
    """Have several processes ask meanwhile; yield a list that says at the end which of them failed."""
    work = list_work(context, tenants, seed)
    failures: list[str] = []
    with run_modules("trials.chaos.load", work, variables=context.variables) as loads:
        yield failures
        for number, load in enumerate(loads, 1):
            load.communicate(timeout=200)  # it answers the end of its input by ending
            if load.returncode:
                failures.append(f"load process {number} ended with {load.returncode}")


def list_work(context: Context, tenants: Sequence[Tenant], seed: int) -> list[dict[str, Any]]:
    """Return what each load process gets to do."""
    keys = {tenant.name: tenant.api_key for tenant in tenants}
    only = {PREPAID: PRICED}  # so that its credits are spent at a style's own price
    every = {"site": context.variables["SITE_URL"], "keys": keys, "only": only, "clients": CLIENTS}
    work = []
    for number in range(1, LOADS + 1):
        log = context.notes / f"load-{number}.jsonl"
        work.append(every | {"seed": seed + number, "log": str(log)})
    return work
