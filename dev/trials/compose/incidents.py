"""What may happen to an installation in use: an upgrade, a crash of each service, a restore from a backup."""

import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import httpx2
import openai

from stack import smoke
from stack.api import Upload, wait_until
from stack.errors import Miss
from stack.folders import ROOT
from stack.steps import Steps
from trials.compose import images
from trials.compose.project import Project

# PostgreSQL's and Valkey's passwords, replaced while they are in use, by the steps of docs/running.md.

SECOND_ROLE = """
CREATE ROLE second LOGIN PASSWORD '{new}' IN ROLE polyscribe;
ALTER ROLE second SET role TO polyscribe
"""
FORGET_OLD = "ALTER ROLE polyscribe PASSWORD '{new}'"
CALL_VALKEY = 'REDISCLI_AUTH="$(cat /run/secrets/valkey_password)" valkey-cli ACL SETUSER default "$0"'


def add_second(project: Project) -> str:
    """Let new passwords count beside the old ones, and have processes that start from now on use them.

    Return Valkey's old one.
    """
    old = project.variables()["VALKEY_PASSWORD"]
    for_postgres, for_valkey = secrets.token_hex(32), secrets.token_hex(32)
    _ask_postgres(project, SECOND_ROLE.format(new=for_postgres))
    _ask_valkey(project, f">{for_valkey}")
    project.change(
        {"POSTGRES_ROLE": "second", "POSTGRES_PASSWORD": for_postgres, "VALKEY_PASSWORD": for_valkey}
    )
    return old


def forget_first(project: Project, old_of_valkey: str) -> None:
    """Let the old passwords count no longer; connections that are open stay."""
    _ask_postgres(project, FORGET_OLD.format(new=project.variables()["POSTGRES_PASSWORD"]))
    _ask_valkey(project, f"<{old_of_valkey}")
    project.change({"POSTGRES_ROLE": ""})


def _ask_postgres(project: Project, statements: str) -> None:
    project.execute("postgres", "psql", "-U", "polyscribe", "-d", "polyscribe", "-c", statements)


def _ask_valkey(project: Project, rule: str) -> None:
    project.execute("valkey", "sh", "-c", CALL_VALKEY, rule)


# People at work while containers are replaced or crash: they open pages, ask, and read streams.

ASKED_EVERY_S = 0.2
PAGE_WITHIN_S = 30.0
STREAM_TOKENS = 100
MESSAGES: list[openai.types.chat.ChatCompletionUserMessageParam] = [
    {"role": "user", "content": smoke.QUESTION}
]


@dataclass
class Asked:
    """What was asked again and again; `answered` has when each answer began and ended (Unix seconds)."""

    began_s: float = field(default_factory=time.time)
    answered: list[tuple[float, float]] = field(default_factory=list)
    failed_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def slowest_s(self) -> float:
        """How long the slowest answer took."""
        return round(max((ended - began for began, ended in self.answered), default=0.0), 2)

    @property
    def away_s(self) -> float:
        """For how long nothing was answered, from the last answer before a failure to the next one."""
        ends = [self.began_s, *(ended for _, ended in self.answered), time.time()]
        gaps = []
        for earlier, later in pairwise(ends):
            if any(earlier <= failed <= later for failed in self.failed_s):
                gaps.append(later - earlier)
        return round(sum(gaps), 1)

    def count_across(self, moment_s: float) -> int:
        """Return how many answers had begun by a moment and went on after it."""
        return sum(began_s < moment_s < ended_s for began_s, ended_s in self.answered)


@contextmanager
def asking(ask: Callable[[], None], *, at_once: int = 1) -> Iterator[Asked]:
    """Ask again and again, in so many threads; what is raised is a fault."""
    seen = Asked()
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(ASKED_EVERY_S):
            began_s = time.time()
            try:
                ask()
            except (Miss, openai.OpenAIError, httpx2.TransportError) as error:
                seen.failed_s.append(time.time())
                seen.faults.append(repr(error))
            else:
                seen.answered.append((began_s, time.time()))

    threads = [threading.Thread(target=repeat, name="asking") for _ in range(at_once)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()
        seen.answered.sort(key=lambda span: span[1])


def open_page(site: str) -> None:
    """Open the front page. Raises Miss."""
    answer = httpx2.get(site, timeout=PAGE_WITHIN_S)
    if answer.status_code != 200:
        raise Miss(f"{answer.status_code} {answer.text[:100]}")


def ask_whole(client: openai.OpenAI, model: str) -> None:
    """Send a short request. Raises Miss for an answer without its end."""
    answer = client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=4)
    if not answer.choices[0].finish_reason:
        raise Miss(f"an answer without its end: {answer}")


def read_stream(client: openai.OpenAI, model: str) -> None:
    """Read a stream. Raises Miss where it has no end."""
    reasons: list[str] = []
    for chunk in client.chat.completions.create(
        model=model, messages=MESSAGES, max_tokens=STREAM_TOKENS, stream=True
    ):
        reasons += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
    if not reasons:
        raise Miss("a stream without its end")


VERSION = "trial"
IMAGE = f"localhost/polyscribe:{VERSION}"
WELL_WITHIN_S = 900.0
BACK_WITHIN_S = 300.0
TASKS = ("migrate", "base-model", "storage-keys")
# Pages need these; whatever else crashes must not be seen on them.
PAGES_NEED = ("postgres", "valkey")
STREAMS = 2
SITE_USER = 10001


def upgrade(project: Project, site: str, client: openai.OpenAI, upload: Upload) -> dict[str, Any]:
    """Upgrade to another image and other passwords while pages are opened and streams are read.

    Raises Miss for what failed.
    """
    before_s = time.time()
    images.build_image(IMAGE, ROOT, "Dockerfile", ("--label=version=next",))
    with (
        asking(partial(open_page, site)) as pages,
        asking(partial(ask_whole, client, upload.model)) as requests,
        asking(partial(read_stream, client, upload.model), at_once=STREAMS) as streams,
    ):
        wait_until(lambda: bool(streams.answered), within_s=BACK_WITHIN_S, what="no stream ended")
        began_s = time.monotonic()
        old_password = add_second(project)
        project.deploy("upgrade.sh", "--built")
        forget_first(project, old_password)
        project.await_well(within_s=BACK_WITHIN_S)
        seconds = round(time.monotonic() - began_s, 1)
    replaced = [one for one in project.containers() if one.created_s > before_s and one.service not in TASKS]
    gateway = project.container("gateway")
    across = streams.count_across(gateway.created_s)
    faults = [*pages.faults, *requests.faults, *streams.faults]
    found = {
        "seconds": seconds,
        "replaced": len(replaced),
        "pages": len(pages.answered),
        "pages_failed": len(pages.faults),
        "slowest_page_s": pages.slowest_s,
        "requests": len(requests.answered),
        "streams": len(streams.answered),
        "streams_across": across,
        "requests_failed": len(requests.faults) + len(streams.faults),
    }
    if faults or not across:
        raise Miss(f"The upgrade was seen: {found} {faults[:5]}")
    return found


def crash_each(
    project: Project, steps: Steps, site: str, client: openai.OpenAI, upload: Upload
) -> dict[str, dict[str, float]]:
    """Kill each service in turn while pages are asked for; it must come back by itself, and the style answer.

    Return when it was back, and for how long pages were away. Raises Miss.
    """
    found = {}
    for service in [name for name, service in project.services.items() if is_served(name, service)]:
        with steps.step(f"{service} crashes and is back"), asking(partial(open_page, site)) as pages:
            began_s = time.monotonic()
            project.crash(service)
            project.await_well(within_s=BACK_WITHIN_S)
            await_answer(client, upload.model)
            back_s = round(time.monotonic() - began_s, 1)
        found[service] = {
            "back_s": back_s,
            "pages_away_s": pages.away_s,
            "pages_failed": len(pages.faults),
            "slowest_page_s": pages.slowest_s,
        }
        steps.say(f"    {found[service]}")
        if pages.away_s and service not in PAGES_NEED:
            raise Miss(f"{service} crashed and pages were away for {pages.away_s} s: {pages.faults[:3]}")
    return found


def restore(project: Project, client: openai.OpenAI, upload: Upload) -> dict[str, float]:
    """Back up, delete every volume, restore; return how long each took until the style answered."""
    folder = project.folder / "backup"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.chown(folder, SITE_USER, SITE_USER)
    manage = ["run", "--rm", "-T", f"--volume={folder}:/backup", "web", "python", "manage.py"]
    seconds = {}

    def measured(what: str, work: Callable[[], object]) -> None:
        began_s = time.monotonic()
        work()
        seconds[f"{what}_s"] = round(time.monotonic() - began_s, 1)

    measured("backup", lambda: project.compose(*manage, "backup", "/backup/day"))
    project.compose("down", "--volumes", "--timeout=10")
    measured("restore", lambda: project.compose(*manage, "restore", "/backup/day"))

    def bring_up() -> None:
        project.compose("up", "--detach", "--no-build")
        project.await_well(within_s=WELL_WITHIN_S)
        await_answer(client, upload.model)

    measured("serving", bring_up)
    return seconds


def is_served(name: str, service: Mapping[str, Any]) -> bool:
    """Return whether a service runs all the time, without a profile being asked for."""
    return name not in TASKS and "profiles" not in service


def await_answer(client: openai.OpenAI, model: str) -> None:
    """Wait until a style answers. Raises Miss."""
    wait_until(lambda: _is_answering(client, model), within_s=BACK_WITHIN_S, what=f"{model} did not answer")


def _is_answering(client: openai.OpenAI, model: str) -> bool:
    try:
        answer = client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=4)
    except openai.OpenAIError:
        return False
    return bool(answer.choices)
