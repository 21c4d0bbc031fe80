"""What a chaos trial found: the clients' view against the usage records, as a verdict, a table and a file."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from labs.chat_client import Outcome
from trials.chaos.load import Seen
from trials.harness import Tenant, Verdict, Watch
from trials.usage_records import Event, UsageRecords

ANSWERS_A_KILL = 3  # fewer complete answers than this, and the trial has shown nothing
ENGINE_SETTLES_S = 10.0  # so long after its return its adapters may still be on their way


@dataclass(frozen=True)
class Kill:
    """What was killed, and when (seconds since the epoch)."""

    part: str
    at: float


@dataclass(frozen=True)
class ChaosVerdict(Verdict):
    """What happened, and what must not have."""

    title = "CHAOS"
    must_be_empty = ("lost", "doubled", "overshoot_tokens", "overspent_nanousd", "leaked", "wanting")

    kills: Sequence[Kill]
    engine_away: Sequence[tuple[float, float]]
    seen: Sequence[Seen]
    events: Mapping[str, Sequence[Event]]
    lost: Sequence[str]
    doubled: Sequence[str]
    overshoot_tokens: int
    overspent_nanousd: int
    leaked: Sequence[str]
    wanting: Sequence[str]

    def table(self) -> dict[str, str]:
        """Return what happened, for people."""
        refused = self.ended_as(Outcome.REFUSED)
        hung_up = self.ended_as(Outcome.HUNG_UP)
        failed = self.ended_as(Outcome.CUT_SHORT)
        failed += [request for request in refused if request.status >= 500]
        outcomes: list[str] = []
        for events in self.events.values():
            outcomes += [event.outcome for event in events]
        with_engine, without_engine = self.outages_s()
        return {
            "kills": count_names(kill.part for kill in self.kills),
            "requests": count_names(request.outcome for request in self.seen),
            "refused": count_names(f"{request.status} {request.code}" for request in refused),
            "5xx after a kill of": count_names(map(self.blame, failed)),
            "usage events": count_names(outcomes),
            "refused, yet billed": str(len(self.refused_yet_billed())),
            "hung up, not billed": str(sum(request.request_id not in self.events for request in hung_up)),
            "longest outage": f"{with_engine:.0f} s, and {without_engine:.0f} s while the engine was away",
        }

    def ended_as(self, outcome: Outcome) -> list[Seen]:
        """Return the requests that ended in one way, as their clients saw it."""
        return [request for request in self.seen if request.outcome == outcome]

    def refused_yet_billed(self) -> list[str]:
        """Return request ids that have a usage event although their clients got an error."""
        refused = self.ended_as(Outcome.REFUSED)
        return [request.request_id for request in refused if request.request_id in self.events]

    def blame(self, request: Seen) -> str:
        """Return the part whose death explains an error: the engine while away, else the last killed."""
        ended = request.ended
        if any(died <= ended <= back + ENGINE_SETTLES_S for died, back in self.engine_away):
            return "engine"
        return next((kill.part for kill in reversed(self.kills) if kill.at <= ended), "nothing")

    def outages_s(self) -> tuple[float, float]:
        """Return the longest times without a complete answer: while the engine was there, and while not."""
        ends = [request.ended for request in self.ended_as(Outcome.COMPLETE)]
        gaps: dict[bool, list[float]] = {True: [0.0], False: [0.0]}
        for begin, end in pairwise(ends):
            without_engine = any(begin < back and died < end for died, back in self.engine_away)
            gaps[without_engine].append(end - begin)
        return max(gaps[False]), max(gaps[True])

    def details(self) -> dict[str, object]:
        """Return everything that was found, with every offending request, to be written as JSON."""
        offending = {*self.lost, *self.doubled, *self.refused_yet_billed()}
        return {
            "verdict": self.line(),
            **{name: getattr(self, name) for name in ("lost", "doubled", "leaked", "wanting", "engine_away")},
            "refused_yet_billed": self.refused_yet_billed(),
            "requests": [asdict(request) for request in self.seen if request.request_id in offending],
            "events": {name: list(map(asdict, self.events.get(name, []))) for name in offending},
            "kills": list(map(asdict, self.kills)),
            "table": self.table(),
        }


def judge(
    records: UsageRecords,
    tenants: Sequence[Tenant],
    seen: Sequence[Seen],
    *,
    kills: Sequence[Kill],
    engine_away: Sequence[tuple[float, float]],
    watch: Watch,
    purse: Watch,
    wanting: Sequence[str],
) -> ChaosVerdict:
    """Compare what the clients saw with what the books say.

    The last tenant is the capped one, which `watch` looked at; the one before has credits, as `purse` saw.
    """
    ids = [tenant.id for tenant in tenants]
    *_, prepaid, capped = tenants
    overspent = records.spent_nanousd(prepaid.id) - (prepaid.credit_nanousd or 0)
    events = records.events(ids)
    complete = [request for request in seen if request.outcome == Outcome.COMPLETE]
    twice = [request_id for request_id, found in events.items() if len(found) > 1]
    return ChaosVerdict(
        kills=kills,
        engine_away=engine_away,
        seen=seen,
        events=events,
        lost=[request.request_id for request in complete if not is_billed_once(request, events)],
        doubled=[*twice, *records.charged_twice(ids), *records.disagreements(ids)],
        overshoot_tokens=max(watch.overshoot_tokens, records.used(capped.id) - capped.monthly_tokens),
        overspent_nanousd=max(purse.overspent_nanousd, overspent, 0),
        leaked=records.left_open(ids),
        wanting=[*wanting, *_too_little(complete, kills)],
    )


def is_billed_once(request: Seen, events: Mapping[str, Sequence[Event]]) -> bool:
    """Return whether a complete answer has exactly one usage event, with the counts that its client saw."""
    counts = [(e.prompt_tokens, e.completion_tokens) for e in events.get(request.request_id, [])]
    return counts == [request.tokens]


def read_seen(notes: Path) -> list[Seen]:
    """Return all requests that the load processes wrote down, in the order of their ends."""
    requests: list[Seen] = []
    for log in notes.glob("load-*.jsonl"):
        requests += map(Seen.read, log.read_text().splitlines())
    return sorted(requests, key=lambda request: request.ended)


def count_names(names: Iterable[str]) -> str:
    """Return `name 3, other 1`, the most frequent first."""
    return ", ".join(f"{name} {count}" for name, count in Counter(names).most_common()) or "none"


def _too_little(complete: Sequence[Seen], kills: Sequence[Kill]) -> list[str]:
    """Return why the trial has shown nothing: too few answers, or none after everything was killed."""
    reasons = []
    if len(complete) < ANSWERS_A_KILL * len(kills):
        reasons.append(f"only {len(complete)} complete answers in {len(kills)} kills")
    last_kill_at = kills[-1].at if kills else math.inf
    if not any(request.began > last_kill_at for request in complete):
        reasons.append("no complete answer after the last kill")
    return reasons
