"""Made-up requests: the same ones for the same day, more of them on weekdays, a few that failed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from core import months
from metering.ledger import Event
from metering.models import TokenPrices, UsageEvent
from metering.price_book import cost_nanousd

DAY = timedelta(days=1)
SATURDAY = 5  # as datetime.weekday() counts
CACHED_BLOCK = 16  # tokens: the engine caches prompts in whole blocks
FAILED_PERCENT = 1.0  # of requests: the engine failed before the first token
HUNG_UP_PERCENT = 2.5  # the client went away

Outcome = UsageEvent.Outcome


@dataclass(frozen=True)
class CalledStyle:
    """What requests name in `model`, and the version that answered. Without an id it is the base model."""

    name: str
    style: UUID | None = None
    version: int | None = None
    sha256: str = ""


@dataclass(frozen=True)
class Habit:
    """How one key is used: when, how often, which styles, and how long the texts are."""

    tenant_id: UUID
    key_id: UUID
    styles: dict[CalledStyle, int]  # → weight
    hours: tuple[int, int]  # of the day in UTC, the second one excluded
    per_weekday: int
    per_weekend_day: int
    prompt_tokens: tuple[int, int]
    completion_tokens: tuple[int, int]
    cached_percent: int  # of a prompt's tokens, where anything was cached


@dataclass(frozen=True)
class Served:
    """What served the requests, and at which prices."""

    base_model: str
    engine: str
    prices: TokenPrices


def make_events(
    habit: Habit, served: Served, random: Random, *, since: datetime, until: datetime
) -> Iterator[Event]:
    """Yield a key's requests of [since, until), day by day; use grows by half over that time."""
    day = since
    while day < until:
        is_weekend = day.weekday() >= SATURDAY
        usual = habit.per_weekend_day if is_weekend else habit.per_weekday
        growth = 0.8 + 0.4 * ((day - since) / (until - since))
        for _ in range(round(usual * growth * random.uniform(0.75, 1.25))):
            event = _make_event(habit, served, random, day)
            if event.admitted_at < until:
                yield event
        day += DAY


def make_request_id(random: Random) -> str:
    """Return an id as the gateway makes them."""
    return f"req_{random.getrandbits(128):032x}"


def _make_event(habit: Habit, served: Served, random: Random, day: datetime) -> Event:
    at = day + timedelta(hours=random.uniform(*habit.hours))
    [called] = random.choices(list(habit.styles), list(habit.styles.values()))
    prompt = round(random.triangular(*habit.prompt_tokens, habit.prompt_tokens[0]))
    completion = round(random.triangular(*habit.completion_tokens))
    cached = 0
    if random.random() < 0.5:
        cached = prompt * habit.cached_percent // 100 // CACHED_BLOCK * CACHED_BLOCK
    outcome, finish_reason = Outcome.COMPLETE, "stop"
    if completion == habit.completion_tokens[1]:
        finish_reason = "length"
    chance = random.uniform(0, 100)
    if chance < FAILED_PERCENT:
        outcome, finish_reason = Outcome.UPSTREAM_ERROR, ""
        prompt = cached = completion = 0
    elif chance < FAILED_PERCENT + HUNG_UP_PERCENT:
        outcome, finish_reason = Outcome.CLIENT_DISCONNECT, ""
        completion //= 3
    prices = served.prices
    return Event(
        request_id=make_request_id(random),
        tenant_id=habit.tenant_id,
        key_id=habit.key_id,
        style=called.style,
        style_name=called.name,
        version_number=called.version,
        adapter_sha256=called.sha256,
        base_model=served.base_model,
        engine=served.engine,
        period=months.period_of(at),
        admitted_at=at,
        prompt_tokens=prompt,
        cached_tokens=cached,
        completion_tokens=completion,
        finish_reason=finish_reason,
        outcome=outcome,
        **prices._asdict(),
        cost_nanousd=cost_nanousd(prices, prompt, cached, completion),
    )
