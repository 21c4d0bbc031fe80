"""`trials quota-storm`: many requests at one moment against a cap and against credits that fit only some."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

from stack.errors import Miss
from stack.folders import shown
from trials.harness import (
    OWN_PRICES,
    PRICED,
    Context,
    Tenant,
    Verdict,
    Watch,
    await_quiet,
    create_tenants,
    find_wrong_prices,
    find_wrong_shares,
    price_style,
    run_modules,
    run_on_own_stack,
)
from trials.storm.volley import Answer, Volley, fire_volley
from trials.usage_records import UsageRecords

PROCESSES = 4
FIT = 20  # holds at once under the cap
# Of the prepaid tenant: twenty holds at the own prices of the style that it asks for.
CREDIT_NANOUSD = 304_001
START_S = 4.0  # for the processes to be there before all ask at one moment
GONE = "insufficient_quota"
IN_FLIGHT = "rate_limit_exceeded"


@dataclass(frozen=True)
class StormVerdict(Verdict):
    """What the storm showed: whether cap and credits held exactly, and refused nobody in vain."""

    title = "STORM"
    must_be_empty = ("overshoot_tokens", "overspent_nanousd", "false_refusals", "wanting")

    requests: int
    admitted: int
    refused: int
    used_tokens: int
    cap_tokens: int
    overshoot_tokens: int
    false_refusals: int
    wanting: Sequence[str]
    overspent_nanousd: int = 0
    spent_nanousd: int = 0


def storm() -> int:
    """Run the trial on a stack of its own, in a temporary folder; return 0 if the verdict is good."""
    return run_on_own_stack("storm", trial)


def trial(context: Context, *, requests: int = 500) -> StormVerdict:
    """Ask all at once, then, once every hold is released, one by one for as long as the cap allows it."""
    variables = context.variables
    stopping = context.stopping
    say = context.say
    records = UsageRecords(variables)
    author = price_style(variables)
    hold = measure_hold_tokens(variables)
    tenant, prepaid = create_tenants(
        variables, {"capped": FIT * hold + 1, "prepaid": 10**9}, credits={"prepaid": CREDIT_NANOUSD}
    )
    say(f"\nquota storm: {requests} requests hold {hold} tokens each, the cap is {tenant.monthly_tokens}")
    say(
        f"  beside it {requests} of a tenant that has {CREDIT_NANOUSD} nano-USD of credits and nothing else, "
        f"in {PRICED}, which costs {OWN_PRICES} a token"
    )
    with Watch(records, tenant) as watch, Watch(records, prepaid) as purse, ThreadPoolExecutor(1) as beside:
        paying = beside.submit(fire_all, variables, prepaid, requests, PRICED)
        stormed = fire_all(variables, tenant, requests)
        paid = paying.result()
        say(f"  at once     {describe_answers(stormed)}")
        say(f"  by credits  {describe_answers(paid)}")
        await_quiet(records, [tenant, prepaid], stopping)
        afterwards = asyncio.run(ask_until_refused(variables["SITE_URL"], tenant))
        say(f"  afterwards  {describe_answers(afterwards)}")
        paid += asyncio.run(ask_until_refused(variables["SITE_URL"], prepaid, PRICED))
        await_quiet(records, [tenant, prepaid], stopping)
    say(f"  never more than {watch.most_tokens} tokens used and held, in {watch.samples} samples")
    say(f"  never more than {purse.most_nanousd} nano-USD spent and reserved, in {purse.samples} samples")
    verdict = judge(records, tenant, stormed, afterwards, hold=hold, watch=watch)
    verdict = add_prepaid(verdict, records, prepaid, paid, purse)
    verdict = replace(verdict, wanting=[*verdict.wanting, *find_wrong_shares(records, author)])
    replies = [asdict(reply) for reply in (*stormed, *afterwards, *paid)]
    file = verdict.write(context.notes, tenant=tenant.id, replies=replies)
    for reason in verdict.wanting:
        say(f"  ! {reason}; see {shown(file)}")
    return verdict


def judge(
    records: UsageRecords,
    tenant: Tenant,
    stormed: Sequence[Answer],
    afterwards: Sequence[Answer],
    *,
    hold: int,
    watch: Watch,
) -> StormVerdict:
    """Compare what the clients saw with the cap and with the usage records."""
    cap = tenant.monthly_tokens
    used_in_storm = sum_tokens(stormed)
    used = sum_tokens([*stormed, *afterwards])
    admitted = [reply for reply in stormed if reply.status == 200]
    refused = [reply for reply in stormed if reply.code in (GONE, IN_FLIGHT)]
    false_refusals = max(0, FIT - len(admitted))  # so many fit before anything was released
    if used_in_storm + hold <= cap:  # what fits at the end did fit at any time: no tokens were gone for good
        false_refusals += sum(reply.code == GONE for reply in refused)
    if used + hold <= cap or afterwards[-1].code != GONE:
        false_refusals += 1
    return StormVerdict(
        requests=len(stormed),
        admitted=len(admitted),
        refused=len(refused),
        used_tokens=used_in_storm,
        cap_tokens=cap,
        overshoot_tokens=max(watch.overshoot_tokens, used - cap, records.used(tenant.id) - cap),
        false_refusals=false_refusals,
        wanting=[*find_strange(stormed), *find_disagreements(records, tenant, [*stormed, *afterwards])],
    )


def add_prepaid(
    verdict: StormVerdict, records: UsageRecords, tenant: Tenant, replies: Sequence[Answer], purse: Watch
) -> StormVerdict:
    """Return the verdict with what the prepaid tenant showed; its last request was refused for good."""
    spent = records.spent_nanousd(tenant.id)
    credit = tenant.credit_nanousd or 0
    admitted = [reply for reply in replies if reply.status == 200]
    wanting = [*find_strange(replies), *find_disagreements(records, tenant, replies)]
    wanting += find_wrong_prices(records, tenant)
    if not admitted or replies[-1].code != GONE:
        wanting.append(f"the credits ended with {replies[-1].code}, {len(admitted)} requests admitted")
    return replace(
        verdict,
        overspent_nanousd=max(purse.overspent_nanousd, spent - credit, 0),
        spent_nanousd=spent,
        wanting=[*verdict.wanting, *wanting],
    )


def find_strange(replies: Sequence[Answer]) -> list[str]:
    """Return which answers were neither served nor refused for the cap."""
    codes = Counter(
        f"{r.status} {r.code}" for r in replies if r.status != 200 and r.code not in (GONE, IN_FLIGHT)
    )
    return [f"{count} answers were {code}" for code, count in codes.items()]


def find_disagreements(records: UsageRecords, tenant: Tenant, replies: Sequence[Answer]) -> list[str]:
    """Return where clients, ledger and Valkey differ, and what is still held."""
    seen = {reply.request_id: reply.tokens for reply in replies if reply.status == 200}
    events = records.events([tenant.id])
    billed = {}
    for request_id, found in events.items():
        billed[request_id] = sum(event.prompt_tokens + event.completion_tokens for event in found)
    differing = [name for name in seen | billed if seen.get(name) != billed.get(name)]
    return [
        *(f"{name}: its client saw {seen.get(name)} tokens, billed {billed.get(name)}" for name in differing),
        *records.charged_twice([tenant.id]),
        *records.disagreements([tenant.id]),
        *records.left_open([tenant.id]),
    ]


def sum_tokens(replies: Iterable[Answer]) -> int:
    """Return what the admitted ones used, as their clients saw it."""
    return sum(reply.tokens for reply in replies)


def describe_answers(replies: Sequence[Answer]) -> str:
    """Return how many ended how."""
    counts = Counter(reply.code or "admitted" for reply in replies)
    return (
        ", ".join(f"{code} {count}" for code, count in counts.most_common())
        + f"; {sum_tokens(replies)} tokens"
    )


def measure_hold_tokens(variables: Mapping[str, str]) -> int:
    """Return what one request holds: a lone one's share of a full minute's bucket, as its headers tell.

    Another one lets an engine have the style that the storm asks for. Raises Miss.
    """
    [tenant] = create_tenants(variables, {"alone": 10**6})
    asyncio.run(fire_volley(Volley(variables["SITE_URL"], tenant.api_key, 1, 0, PRICED)))
    [reply] = asyncio.run(fire_volley(Volley(variables["SITE_URL"], tenant.api_key, 1, 0)))
    if reply.status != 200:
        raise Miss(f"A lone request was answered {reply.status} {reply.code}.")
    return reply.held_tokens


def fire_all(
    variables: Mapping[str, str], tenant: Tenant, requests: int, model: str = "base"
) -> list[Answer]:
    """Return the answers to so many requests, asked at one moment by several processes."""
    counts = [requests // PROCESSES + (n < requests % PROCESSES) for n in range(PROCESSES)]
    at = time.time() + START_S
    volleys = [asdict(Volley(variables["SITE_URL"], tenant.api_key, count, at, model)) for count in counts]
    with run_modules("trials.storm.volley", volleys, variables=variables) as begun:
        outputs = [process.stdout.read() for process in begun if process.stdout]
    found: list[Answer] = []
    for answers in outputs:
        found += [Answer(**answer) for answer in json.loads(answers)]
    return found


async def ask_until_refused(site: str, tenant: Tenant, model: str = "base") -> list[Answer]:
    """Ask one after the other until the first refusal, which is the last reply."""
    replies: list[Answer] = []
    while not replies or replies[-1].status == 200:
        replies += await fire_volley(Volley(site, tenant.api_key, 1, 0, model))
    return replies
