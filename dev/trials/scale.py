"""`trials scale`: 2,000 styles on one engine. Pages and passes stay quick, memory stays flat in use."""

import re
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from labs.machine import rss_mib
from stack.pages import Session, fetched, signed_in
from trials import styles
from trials.harness import Context, create_tenants, pause, run_on_own_stack
from trials.verdict import Verdict

STYLES = 2000
# distinct adapters, and as small as they can be: it is their number that counts
FILES = 20
RANK = 1
SERVING_WITHIN_S = 900.0
SETTLED_S = 10.0
WATCHED_S = 150.0
VISITED_EVERY_S = 1.0
TRIES = 5
GOAL_S = 2.0
GROWTH_MIB = 5.0
PAGES = (
    "/styles/",
    "/styles/?q=style+17",
    "/playground/",
    "/keys/",
    "/console/adapters/style/",
    "/console/adapters/engine/",
    "/console/adapters/placement/",
)
DONE = re.compile(r"Task adapters\.tasks\.(?P<task>reconcile|plan)\[.*succeeded in (?P<s>[\d.]+)s")
FAILED = re.compile(r"Task \S+\[\S+\] (?:raised unexpected|INTERNAL ERROR):")


@dataclass(frozen=True)
class ScaleVerdict(Verdict):
    """What was measured: seconds at the most, and by how many MiB processes grew while both had work."""

    title = "SCALE"

    styles: int
    loaded_s: float
    pass_s: float
    plan_s: float
    passes: int
    plans: int
    failed_tasks: int
    visits: int
    pages: dict[str, float]
    web_mib: float
    web_growth_mib: float
    worker_mib: float
    worker_growth_mib: float

    @property
    def is_good(self) -> bool:
        """True if passes and plans were seen, none failed or took longer than it may, and nothing grew."""
        slowest = max(self.pass_s, self.plan_s, *self.pages.values())
        growth = max(self.web_growth_mib, self.worker_growth_mib)
        is_seen = self.passes > 0 and self.plans > 0
        return slowest <= GOAL_S and growth <= GROWTH_MIB and is_seen and not self.failed_tasks

    def figures(self) -> dict[str, object]:
        return {**super().figures(), "slowest_page_s": max(self.pages.values())}


def scale() -> int:
    """Run the trial on a stack of its own, in a temporary folder; return 0 if the verdict is good."""
    return run_on_own_stack("scale", trial)


def trial(context: Context) -> ScaleVerdict:
    """Have the styles served, look at pages as a writer and an operator, and watch passes go by."""
    variables = context.variables
    stopping = context.stopping
    adapters = context.notes / "adapters"
    folders = styles.make_adapters(variables["BASE_MODEL_DIR"], adapters, count=FILES, rank=RANK)
    owners = [find_writer(context)]
    owners += [tenant.id for tenant in create_tenants(variables, dict.fromkeys("abc", 10**9))]
    began = time.monotonic()
    of_each = []
    for number, owner in enumerate(owners):
        count = STYLES // len(owners)
        of_each.append(styles.create_styles(variables, owner, folders, count=count, public=number == 1))
    context.say(f"\nscale: {STYLES} styles stored after {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    for owner, names in zip(owners, of_each, strict=True):
        styles.Routes(variables, owner).await_all(names, stopping, within_s=SERVING_WITHIN_S)
    loaded_s = time.monotonic() - began
    context.say(f"  all {STYLES} serve {loaded_s:.0f} s later")
    pause(stopping, SETTLED_S)
    log = context.folders.logs / "worker-engine.log"
    skipped = log.stat().st_size
    known = context.read_secrets()
    session = signed_in(variables["SITE_URL"], login=known["login"], password=known["password"])
    pages = visit_pages(session, [names[0] for names in of_each[:2]], stopping)
    for page, seconds in pages.items():
        context.say(f"  {seconds:5.2f} s  {page}")
    web, worker = watch_memory(context, session, list(pages))
    log_text = read_log_since(log, skipped)
    times = parse_durations(log_text)
    verdict = ScaleVerdict(
        styles=STYLES,
        loaded_s=round(loaded_s, 1),
        pass_s=max(times["reconcile"], default=0.0),
        plan_s=max(times["plan"], default=0.0),
        passes=len(times["reconcile"]),
        plans=len(times["plan"]),
        failed_tasks=len(FAILED.findall(log_text)),
        visits=len(web) * len(pages),
        pages=pages,
        web_mib=max(web),
        web_growth_mib=measure_growth(web),
        worker_mib=max(worker),
        worker_growth_mib=measure_growth(worker),
    )
    verdict.publish("scale.json", device=variables["ENGINE_DEVICE"])
    return verdict


def find_writer(context: Context) -> str:
    """Return the tenant of the demo's writer."""
    query = "SELECT tenant_id FROM tenants_membership AS m JOIN tenants_user AS u ON u.id = m.user_id"
    with psycopg.connect(context.variables["DATABASE_URL"]) as connection:
        row = connection.execute(f"{query} WHERE u.email = %s", [context.read_secrets()["login"]]).fetchone()
    assert row
    return str(row[0])


def visit_pages(session: Session, names: list[str], stopping: threading.Event) -> dict[str, float]:
    """Return page → the longest of a few visits in seconds."""
    longest_s: dict[str, float] = {}
    for page in [*PAGES, *(f"/styles/{name}/" for name in names)]:
        if stopping.is_set():
            break
        longest_s[page] = max(visit_page(session, page) for _ in range(TRIES))
    return longest_s


def visit_page(session: Session, page: str) -> float:
    """Return how many seconds a page took. Raises Miss unless it is there."""
    began = time.monotonic()
    fetched(session, page)
    return round(time.monotonic() - began, 3)


def watch_memory(context: Context, session: Session, pages: Sequence[str]) -> tuple[list[float], list[float]]:
    """Return the memory of web and worker in MiB, sampled after each round of visits while passes go on."""
    headers = {"Authorization": f"Bearer {context.read_secrets()['api_key']}"}
    pids = [context.read_pid(name) for name in ("web", "worker-engine")]
    samples: tuple[list[float], list[float]] = ([], [])
    until = time.monotonic() + WATCHED_S
    while time.monotonic() < until:
        for page in pages:
            fetched(session, page)
        session.get("/v1/models", headers=headers).raise_for_status()
        for pid, sample in zip(pids, samples, strict=True):
            sample.append(rss_mib(pid))
        pause(context.stopping, VISITED_EVERY_S)
    return samples


def measure_growth(sample: Sequence[float]) -> float:
    """Return by how many MiB the last third lies above the first one, by their medians."""
    third = len(sample) // 3
    return round(statistics.median(sample[-third:]) - statistics.median(sample[:third]), 1)


def read_log_since(log: Path, skipped: int) -> str:
    """Return what a log says behind a place in it."""
    with log.open("rb") as lines:
        lines.seek(skipped)
        return lines.read().decode(errors="replace")


def parse_durations(log_text: str) -> dict[str, list[float]]:
    """Return how many seconds each task took, by its name, from the worker's log."""
    found: dict[str, list[float]] = {"reconcile": [], "plan": []}
    for done in DONE.finditer(log_text):
        found[done["task"]].append(round(float(done["s"]), 3))
    return found
