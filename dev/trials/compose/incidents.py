"""What may happen to an installation in use: an upgrade, a crash of each service, a restore from a backup."""

import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

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

PAGE_EVERY_S = 0.2
PAGE_WITHIN_S = 30.0
STREAM_TOKENS = 100
MESSAGES: list[openai.types.chat.ChatCompletionUserMessageParam] = [
    {"role": "user", "content": smoke.QUESTION}
]


@dataclass
class Pages:
    """A page, asked for again and again in a thread; `away_s` is for how long it was not answered."""

    site: str
    asked: int = 0
    slowest_s: float = 0.0
    away_s: float = 0.0
    faults: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._ask_until_over, name="pages")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()

    def _ask_until_over(self) -> None:
        last_answer_s = time.monotonic()
        is_away = False
        with httpx2.Client(base_url=self.site, timeout=PAGE_WITHIN_S) as client:
            while not self._over.wait(PAGE_EVERY_S):
                began_s = time.monotonic()
                fault = _open_page(client)
                now_s = time.monotonic()
                self.asked += 1
                self.slowest_s = round(max(self.slowest_s, now_s - began_s), 2)
                if fault:
                    self.faults.append(fault)
                    is_away = True
                    continue
                if is_away:
                    self.away_s = round(self.away_s + now_s - last_answer_s, 1)
                is_away = False
                last_answer_s = now_s
        if is_away:
            self.away_s = round(self.away_s + time.monotonic() - last_answer_s, 1)


def _open_page(client: httpx2.Client) -> str:
    """Return why a page was not answered, or nothing."""
    try:
        answer = client.get("/")
    except httpx2.TransportError as error:
        return repr(error)
    return "" if answer.status_code == 200 else f"{answer.status_code} {answer.text[:100]}"


@dataclass
class Requests:
    """What was asked of /v1, when each stream began and ended (Unix seconds), and what failed."""

    answered: int = 0
    streams: list[tuple[float, float]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def count_streams_across(self, moment_s: float) -> int:
        """Return how many streams had begun by a moment and went on after it."""
        return sum(began_s < moment_s < ended_s for began_s, ended_s in self.streams)


@contextmanager
def asking(client: openai.OpenAI, model: str, *, streams: int) -> Iterator[Requests]:
    """Read so many streams at once, and send short requests beside, one after the other."""
    seen = Requests()
    over = threading.Event()

    def repeat(ask: Callable[[], None]) -> None:
        while not over.is_set():
            try:
                ask()
            except (openai.OpenAIError, httpx2.TransportError, ValueError) as error:
                seen.faults.append(repr(error))
                over.wait(PAGE_EVERY_S)

    def ask_whole() -> None:
        answer = client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=4)
        if not answer.choices[0].finish_reason:
            raise ValueError(f"an answer without its end: {answer}")
        seen.answered += 1

    def ask_streamed() -> None:
        began_s = time.time()
        reasons: list[str] = []
        for chunk in client.chat.completions.create(
            model=model, messages=MESSAGES, max_tokens=STREAM_TOKENS, stream=True
        ):
            reasons += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
        if not reasons:
            raise ValueError("a stream without its end")
        seen.streams.append((began_s, time.time()))

    threads = [threading.Thread(target=repeat, args=[ask]) for ask in [ask_whole] + [ask_streamed] * streams]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()


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
        Pages(site) as pages,
        asking(client, upload.model, streams=STREAMS) as requests,
    ):
        wait_until(lambda: bool(requests.streams), within_s=BACK_WITHIN_S, what="no stream ended")
        began_s = time.monotonic()
        old_password = add_second(project)
        project.deploy("upgrade.sh", "--built")
        forget_first(project, old_password)
        project.await_well(within_s=BACK_WITHIN_S)
        seconds = round(time.monotonic() - began_s, 1)
    replaced = [one for one in project.containers() if one.created_s > before_s and one.service not in TASKS]
    gateway = project.container("gateway")
    across = requests.count_streams_across(gateway.created_s)
    found = {
        "seconds": seconds,
        "replaced": len(replaced),
        "pages": pages.asked,
        "pages_failed": len(pages.faults),
        "slowest_page_s": pages.slowest_s,
        "requests": requests.answered,
        "streams": len(requests.streams),
        "streams_across": across,
        "requests_failed": len(requests.faults),
    }
    if pages.faults or requests.faults or not across:
        raise Miss(f"The upgrade was seen: {found} {[*pages.faults, *requests.faults][:5]}")
    return found


def crash_each(
    project: Project, steps: Steps, site: str, client: openai.OpenAI, upload: Upload
) -> dict[str, dict[str, float]]:
    """Kill each service in turn while pages are asked for; it must come back by itself, and the style answer.

    Return when it was back, and for how long pages were away. Raises Miss.
    """
    found = {}
    for service in [name for name, service in project.services.items() if is_served(name, service)]:
        with steps.step(f"{service} crashes and is back"), Pages(site) as pages:
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
