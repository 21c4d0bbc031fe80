"""`make chaos`: every part is killed again and again under load; nothing is lost, doubled or left held."""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from stack import engine
from stack.application import WORKERS
from stack.folders import shown
from stack.services import Stack
from trials.chaos.verdict import ChaosVerdict, Kill, judge, read_seen
from trials.harness import (
    PRICED,
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
from trials.verdict import Say

OTHERS = ("web", *WORKERS, "valkey", "postgres")
KILLS_AN_ENGINE_KILL = 15  # vLLM takes a minute or two to come back
KILLS_WITHOUT_ENGINE = 4  # then the engine is awaited, or hardly a request would ever succeed
GAP_S = (2.0, 8.0)
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
    done: list[Kill] = field(default_factory=list)
    engine_away: list[tuple[float, float]] = field(default_factory=list)

    def run(self, order: Sequence[str], *, chance: random.Random, until: float, say: Say) -> None:
        """Kill in this order, seconds apart, until the time is over; then wait for the engine."""
        meanwhile = 0
        for number, part in enumerate(order, 1):
            pause(self.stopping, chance.uniform(*GAP_S))
            if time.monotonic() > until:
                say(f"  ! the time is over after {number - 1} of {len(order)} kills")
                break
            if self._engine_is_away() and (part == "engine" or meanwhile == KILLS_WITHOUT_ENGINE):
                self.await_engine(say)
            meanwhile = meanwhile + 1 if self._engine_is_away() else 0
            self.kill(part)
            self.done.append(Kill(part, time.time()))
            if part == "engine":
                self.engine_away.append((time.time(), 0.0))
            say(f"  kill {number:>2}/{len(order)}  {part}")
        self.await_engine(say)

    def await_engine(self, say: Say) -> None:
        """Wait until the engine lists its models again."""
        began = time.monotonic()
        until = time.monotonic() + ENGINE_WITHIN_S
        while self._engine_is_away() and time.monotonic() < until:
            pause(self.stopping, 0.5)
        if time.monotonic() - began > 1:
            say(f"  … waited {time.monotonic() - began:.0f} s for the engine")

    def _engine_is_away(self) -> bool:
        if not self.engine_away or self.engine_away[-1][1]:
            return False
        if self.engine_ready():
            self.engine_away[-1] = (self.engine_away[-1][0], time.time())
        return not self.engine_away[-1][1]


def chaos(*, kills: int, seed: int | None, seconds: float, var: Path | None) -> int:
    """Run the trial on a stack of its own, in a temporary folder; return 0 if the verdict is good."""

    def killing(stack: Stack, notes: Path) -> ChaosVerdict:
        up = stack.supervisor
        return trial(
            stack.variables,
            up.kill,
            notes=notes,
            kills=kills,
            seed=seed,
            seconds=seconds,
            say=stack.steps.say,
            stopping=up.stopping,
        )

    return run_on_own_stack("chaos", killing, var=var)


def trial(
    variables: Mapping[str, str],
    kill: Callable[[str], None],
    *,
    notes: Path,
    kills: int,
    seed: int | None = None,
    seconds: float = 1200.0,
    say: Say = print,
    stopping: threading.Event | None = None,
) -> ChaosVerdict:
    """Load a running stack, kill its parts, wait until it is quiet, compare what clients saw with the ledger.

    Somebody else must start again what `kill` killed.
    """
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    stopping = stopping or threading.Event()
    chance = random.Random(seed)
    records = UsageRecords(variables)
    began = time.monotonic()
    until = time.monotonic() + seconds
    author = price_style(variables)
    tenants = create_tenants(
        variables,
        {ROOMY: 10**9, f"{ROOMY}-2": 10**9, PREPAID: 10**9, CAPPED: CAP_A_KILL * kills},
        credits={PREPAID: CREDIT_A_KILL_NANOUSD * kills},
    )
    prepaid = tenants[-2]
    ready = partial(engine.ready, variables["ENGINE_URL"], variables["ENGINE_API_KEY"])
    killer = Killer(kill, ready, stopping)
    say(f"\nchaos: {kills} kills, seed {seed}, notes in {shown(notes)}/")
    with Watch(records, tenants[-1]) as watch, Watch(records, prepaid) as purse:
        with run_modules(
            "trials.chaos.load", list_work(variables, tenants, notes, seed), variables=variables
        ) as loads:
            pause(stopping, CALM_S)
            killer.run(draw_order(kills, chance, variables), chance=chance, until=until, say=say)
            pause(stopping, CALM_S)
            for load in loads:
                load.communicate(timeout=200)  # it answers the end of its input by ending
            codes = [load.returncode for load in loads]
        quiet_s = await_quiet(records, tenants, stopping)
    wanting = [f"load process {n} ended with {code}" for n, code in enumerate(codes, 1) if code]
    wanting += find_wrong_prices(records, prepaid)
    wanting += find_wrong_shares(records, author)
    verdict = judge(
        records,
        tenants,
        read_seen(notes),
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
    report(verdict, facts, notes=notes, say=say)
    return verdict


def report(verdict: ChaosVerdict, facts: Mapping[str, str], *, notes: Path, say: Say) -> None:
    """Print the table, and write all details into a file."""
    file = verdict.write(notes, facts=facts)
    say("\n" + "\n".join(f"  {name:<24}{text}" for name, text in {**verdict.table(), **facts}.items()))
    for reason in verdict.wanting:
        say(f"  ! {reason}")
    if not verdict.is_good:
        say(f"  ! every offending request: {shown(file)}")


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


def list_work(
    variables: Mapping[str, str], tenants: Sequence[Tenant], notes: Path, seed: int
) -> list[dict[str, Any]]:
    """Return what each load process gets to do."""
    keys = {tenant.name: tenant.api_key for tenant in tenants}
    only = {PREPAID: PRICED}  # so that its credits are spent at a style's own price
    every = {"site": variables["SITE_URL"], "keys": keys, "only": only, "clients": CLIENTS}
    return [every | {"seed": seed + n, "log": str(notes / f"load-{n}.jsonl")} for n in range(1, LOADS + 1)]
