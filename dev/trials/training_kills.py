"""`make trial NAME=training-kills`: killed trainings end like an undisturbed one, and are charged once.

One training runs undisturbed. Then others of the same text run one after the other, and in each of them the
training child, its worker, the engine, Valkey and PostgreSQL are killed by SIGKILL, in a random order and at
random moments. Each must end with the same losses and the same weights, byte by byte.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import batched
from pathlib import Path
from typing import Any

import httpx2

from labs import machine
from labs.site import run_in_site
from stack import engine
from stack.api import Api, await_estimate, await_read, create_training
from stack.errors import Miss
from stack.folders import shown
from trials.chaos.trial import Killer
from trials.chaos.verdict import count_names
from trials.harness import (
    Context,
    Verdict,
    await_quiet,
    create_tenants,
    pause,
    run_on_own_stack,
    take_paragraphs,
)
from trials.soak import run_checks
from trials.usage_records import UsageRecords

CHILD = "training child"
PARTS = (CHILD, "worker-training", "engine", "valkey", "postgres")
WORDS = 4_000  # about a minute of training on a quiet core
CHECKPOINT_S = 5
SLUG = "trial"
LATE_S = 2.0  # a kill comes up to so long after the percentage that it waits for
GOES_ON_WITHIN_S = 600.0  # a worker's lease is 90 s, and a busy machine trains slowly
ENDED = ("succeeded", "failed", "cancelled")
SAME = ("status", "adapter", "trained_tokens")


@dataclass(frozen=True)
class TrainingKill:
    """What was killed, in which training (0 was undisturbed), and where that was."""

    part: str
    training: int
    status: str
    step: int
    steps: int


@dataclass(frozen=True)
class TrainingKillsVerdict(Verdict):
    """What happened, and what must not have."""

    title = "TRAINING-KILLS"
    must_be_empty = ("different", "wrongly_charged", "leaked", "wanting")

    kills: Sequence[TrainingKill]
    trainings_s: Sequence[float]  # the undisturbed one first
    losses: int  # of a training
    succeeded: int
    different: Sequence[str]
    wrongly_charged: Sequence[str]
    leaked: Sequence[str]
    wanting: Sequence[str]

    def details(self) -> dict[str, object]:
        """Return everything that was found, for a file."""
        return super().details() | {"kills": [vars(kill) for kill in self.kills]}


def training_kills(*, kills: int, seed: int | None) -> int:
    """Run the trial on a stack of its own, in a temporary folder; return 0 if the verdict is good."""
    os.environ.setdefault("TRAINING_CHECKPOINT_S", str(CHECKPOINT_S))
    return run_on_own_stack("training-kills", partial(trial, kills=kills, seed=seed))


def trial(context: Context, *, kills: int, seed: int | None = None) -> TrainingKillsVerdict:
    """Train undisturbed, train under kills, compare the two and look into the books."""
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    chance = random.Random(seed)
    variables = context.variables
    tenants = create_tenants(variables, {"training": 10**9})
    text = context.notes / "text.txt"
    text.write_text("\n\n".join(take_paragraphs(WORDS)))
    context.say(f"\ntraining-kills: {kills} kills, seed {seed}, notes in {shown(context.notes)}/")
    with Api(variables["SITE_URL"], tenants[0].api_key) as api:
        disturbance = Disturbance(context, api, text, chance)
        disturbance.train([])
        for parts in batched(draw_parts(kills, chance), len(PARTS)):
            disturbance.train(parts)
    records = UsageRecords(variables)
    await_quiet(records, tenants, context.stopping)
    found = run_in_site("usage.describe_trainings", variables, ids=disturbance.trainings)
    ids = [tenant.id for tenant in tenants]
    verdict = TrainingKillsVerdict(
        kills=disturbance.kills,
        trainings_s=disturbance.seconds,
        losses=len(found[0]["losses"]),
        succeeded=sum(training["status"] == "succeeded" for training in found),
        different=find_differences(found),
        wrongly_charged=[*find_wrong_charges(found), *records.charged_twice(ids)],
        leaked=records.left_open(ids),
        wanting=run_checks(variables),
    )
    report(verdict, context, found)
    return verdict


def draw_parts(kills: int, chance: random.Random) -> list[str]:
    """Return what to kill: all parts, one after the other, in an order of its own for each training."""
    parts: list[str] = []
    while len(parts) < kills:
        parts += chance.sample(PARTS, len(PARTS))
    return parts[:kills]


@dataclass
class Disturbance:
    """Trains the same text again and again, and kills parts meanwhile."""

    context: Context
    api: Api
    text: Path
    chance: random.Random
    trainings: list[str] = field(default_factory=list)
    kills: list[TrainingKill] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        variables = self.context.variables
        ready = partial(engine.ready, variables["ENGINE_URL"], variables["ENGINE_API_KEY"])
        self.killer = Killer(self._kill, ready, self.context.stopping, self.context.say)

    def train(self, parts: Sequence[str]) -> None:
        """Train once, and kill these parts at random moments. Raises Miss."""
        address = create_training(self.api, SLUG, [self.text], epochs=1)
        await_read(self.api, address)
        await_estimate(self.api, address)
        self.api.post(f"{address}/start", {"rights": True})
        began_s = time.monotonic()
        self.trainings.append(address.rpartition("/")[2])
        percents = sorted(self.chance.randint(0, 100) for _ in parts)
        for part, percent in zip(parts, percents, strict=True):
            self._kill_at(address, part, percent)
        training = self._await(address, lambda training: training["status"] in ENDED)
        self.seconds.append(round(time.monotonic() - began_s, 1))
        words = f"{training['status']} {training['failure']}".strip()
        self.context.say(f"  training {len(self.trainings) - 1} {words} after {self.seconds[-1]:.0f} s")
        self.killer.await_engine()

    def _kill_at(self, address: str, part: str, percent: int) -> None:
        """Kill a part once a training has come so far. Raises Miss."""
        if part == "engine":
            self.killer.await_engine()
        training = self._await(address, lambda training: training["percent"] >= percent)
        pause(self.context.stopping, self.chance.uniform(0, LATE_S))
        self.killer.kill_part(part)
        number = len(self.trainings) - 1
        kill = TrainingKill(part, number, training["status"], training["step"], training["steps"])
        self.kills.append(kill)
        at = f"{kill.status}, step {kill.step} of {kill.steps}"
        self.context.say(f"  kill {len(self.kills):>2}  {part:<16}{at}")

    def _await(self, address: str, is_there: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return a training once it is as wanted, or has ended. Raises Miss."""
        found: list[dict[str, Any]] = []

        def is_seen() -> bool:
            with suppress(Miss, httpx2.TransportError):  # what was killed is on its way back
                found[:] = [self.api.get(address)]
                return is_there(found[0]) or found[0]["status"] in ENDED
            return False

        self.context.wait_until(is_seen, within_s=GOES_ON_WITHIN_S, lack="a training does not go on")
        return found[0]

    def _kill(self, part: str) -> None:
        assert self.context.kill
        if part == CHILD:
            self._kill_child()
        else:
            self.context.kill(part)

    def _kill_child(self) -> None:
        """Kill the training child, once there is one. Raises Miss."""

        def is_killed() -> bool:
            child = machine.find_trainer(self.context.read_pid("worker-training"))
            if child:
                child.kill()
            return child is not None

        self.context.wait_until(is_killed, within_s=GOES_ON_WITHIN_S, lack="there was no training child")


def find_differences(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return in what trainings differ from the first, which was undisturbed."""
    undisturbed, *others = found
    faults = []
    if undisturbed["status"] != "succeeded":
        faults.append(f"undisturbed: {undisturbed['status']} {undisturbed['failure']}")
    for number, training in enumerate(others, 1):
        for name in SAME:
            if training[name] != undisturbed[name]:
                faults.append(f"training {number}: {name} {training[name]}, not {undisturbed[name]}")
        faults += compare_losses(number, training["losses"], undisturbed["losses"])
    return faults


def compare_losses(
    number: int, losses: Sequence[Sequence[object]], undisturbed: Sequence[Sequence[object]]
) -> list[str]:
    """Return which losses of a training are missing, and which are other ones or there twice."""
    counted = Counter(map(tuple, losses))
    expected = Counter(map(tuple, undisturbed))
    faults = [f"training {number}: no {loss}" for loss in expected - counted]
    return faults + [f"training {number}: {loss} too much" for loss in counted - expected]


def find_wrong_charges(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return which trainings were not charged exactly once, for what they trained, within what was held."""
    faults = []
    for training in found:
        charges = training["charges"]
        tokens = [tokens for tokens, _ in charges]
        nanousd = sum(nanousd for _, nanousd in charges)
        if tokens != [training["trained_tokens"]] or not 0 < nanousd <= training["most_nanousd"]:
            faults.append(f"{training['id']}: {charges} for {training['trained_tokens']} trained tokens")
        if training["is_held"]:
            faults.append(f"{training['id']}: still held")
    return faults


def report(verdict: TrainingKillsVerdict, context: Context, found: Sequence[Mapping[str, Any]]) -> None:
    """Print what happened, and write it into files."""
    verdict.write(context.notes, trainings=found)
    verdict.publish("training-kills")
    undisturbed_s, *disturbed_s = verdict.trainings_s
    lines = {
        "kills": count_names(kill.part for kill in verdict.kills),
        "while": count_names(kill.status for kill in verdict.kills),
        "losses of a training": str(verdict.losses),
        "seconds, undisturbed": f"{undisturbed_s:.0f}",
        "seconds, disturbed": ", ".join(f"{seconds:.0f}" for seconds in disturbed_s),
    }
    context.say("\n" + "\n".join(f"  {name:<24}{text}" for name, text in lines.items()))
    for fault in [*verdict.different, *verdict.wrongly_charged, *verdict.leaked, *verdict.wanting]:
        context.say(f"  ! {fault}")
