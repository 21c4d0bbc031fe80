"""The attacks of bench/neighbours.py: what workspaces on the free plan do to the others.

Their clients retry as OpenAI's do: twice, unless they are told not to. Expensive grammars have a trial of
their own, and what once killed an engine is a case of the trial of requests.
"""

import asyncio
import io
import os
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import httpx2

from labs.chat_client import CHAT, COMPLETIONS, ChatClient, run_concurrently
from labs.site import run_in_site
from stack.api import Api, Session, fetched, link, signed_in, token
from stack.errors import Miss
from stack.smoke import STYLE

AT_ONCE = 4  # requests that one attacker has open
ATTACK_S = 40.0  # an attack that goes on is ended then
REPEATED_S = 20.0  # an attack that is over sooner begins again: the neighbour asks one question a second
UPLOADS_S = 900.0  # so long may large uploads and their checks take
MIB = 1024 * 1024
LARGE_BYTES = 1023 * MIB  # of an upload: just below what is taken
RETRIES = 2
HUNG_UP_AFTER_S = 2.0
THEIRS = "legal"


@dataclass(frozen=True)
class Attacker:
    """A workspace on the free plan."""

    id: str
    api_key: str
    login: str
    password: str
    style: str


@dataclass
class Scene:
    """Where an attack happens, and how its requests were answered."""

    client: ChatClient
    site: str
    attackers: list[Attacker]
    answers: Counter[str] = field(default_factory=Counter)

    async def send(self, attacker: Attacker, path: str, body: dict[str, Any]) -> None:
        """Send one request as OpenAI's client does, with its retries."""
        for attempt in range(RETRIES + 1):
            reply = await self.client.post(path, body, key=attacker.api_key)
            self.answers[reply.error or str(reply.status)] += 1
            is_retried = reply.status in (408, 409, 429) or reply.status >= 500
            if reply.error or not is_retried or reply.headers.get("x-should-retry") == "false":
                return
            await asyncio.sleep(0.5 * 2**attempt)

    async def send_all(self, requests: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Send requests, all of them from each attacker, AT_ONCE at a time."""
        bodies = list(requests)

        async def send_as(attacker: Attacker) -> None:
            await run_concurrently(bodies, lambda one: self.send(attacker, *one), at_once=AT_ONCE)

        await asyncio.gather(*map(send_as, self.attackers))

    async def in_a_browser(self, act: Callable[[Session, Attacker], Iterable[str]]) -> None:
        """Let each attacker act on the pages, in threads."""
        await asyncio.gather(*(asyncio.to_thread(self._act, act, one) for one in self.attackers))

    def _act(self, act: Callable[[Session, Attacker], Iterable[str]], attacker: Attacker) -> None:
        try:
            session = signed_in(self.site, login=attacker.login, password=attacker.password)
            for answer in act(session, attacker):
                self.answers[answer] += 1
        except (Miss, httpx2.HTTPError) as error:
            self.answers[f"{type(error).__name__}: {str(error)[:120]}"] += 1


def chat(content: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """Return a chat request in the style that is attacked with."""
    messages = [{"role": "user", "content": content}]
    return CHAT, {"model": THEIRS, "messages": messages, "max_tokens": 8} | more


async def sequences(scene: Scene) -> None:
    """Many sequences in one request: more than are allowed, and as many as are."""
    prompts = ["Write a long text about the sea. "] * 8
    wide = COMPLETIONS, {"model": THEIRS, "prompt": prompts, "n": 16, "max_tokens": 64}
    allowed = COMPLETIONS, {"model": THEIRS, "prompt": prompts[:2], "n": 2, "max_tokens": 64}
    await scene.send_all([wide, chat("Rain?", n=16, max_tokens=64), *[allowed] * 6])


LONG_TOKENS = 480
OTHERS = 8  # pools of the attacks that fill the engine


async def one_token(scene: Scene) -> None:
    """Several pools that ask for one token each time, again and again."""
    await scene.send_all([chat(f"Rain? {number}", max_tokens=1) for number in range(16)])


async def long_sequences(scene: Scene) -> None:
    """Several pools that ask for as many long sequences as their plan allows."""
    long = chat("Write a long text about the sea.", n=4, max_tokens=LONG_TOKENS, stream=True)
    await scene.send_all([long] * 4)


async def long_whole(scene: Scene) -> None:
    """The same, not streamed, with long prompts."""
    text = "Write about the sea and the wind and the rain. " * 60
    await scene.send_all(chat(f"{number} {text}", max_tokens=LONG_TOKENS) for number in range(8))


async def hung_up(scene: Scene) -> None:
    """Long answers, not streamed, whose clients hang up and ask again."""
    path, body = chat("Write a long text about the sea.", n=4, max_tokens=LONG_TOKENS)

    async def again(attacker: Attacker) -> None:
        for _ in range(10):
            reply = await scene.client.post(path, body, key=attacker.api_key, timeout_s=HUNG_UP_AFTER_S)
            scene.answers[reply.error or str(reply.status)] += 1

    await asyncio.gather(*map(again, scene.attackers))


async def refused(scene: Scene) -> None:
    """Prompts that can't fit, of almost four megabytes."""
    await scene.send_all([chat("word " * 780_000)] * 24)


async def compare(scene: Scene) -> None:
    """Comparisons of long answers that are hard to compare."""
    first = "a b " * 1000
    second = "b a a " * 666

    def act(session: Session, attacker: Attacker) -> Iterable[str]:
        page = fetched(session, link(fetched(session, "/"), "k"))
        form = {"csrfmiddlewaretoken": token(page), "prompt": ["Why?"] * 8}
        form |= {"first": [first] * 8, "second": [second] * 8}
        path = f"{attacker.style}compare/answers/?a=1&b=2"
        until_s = time.monotonic() + ATTACK_S / 2
        for _ in range(20):
            if time.monotonic() > until_s:
                return
            answer = session.post(path, data=form, headers={"Referer": scene.site})
            yield str(answer.status_code)

    await scene.in_a_browser(act)


async def archives(scene: Scene) -> None:
    """Archives of one megabyte that hold a gigabyte of zeros."""
    archive = await asyncio.to_thread(_bomb)

    def act(_: Session, attacker: Attacker) -> Iterable[str]:
        for number in range(3):
            content = io.BytesIO(archive)
            yield from _upload(scene.site, attacker, f"zeros-{number}", content, size=len(archive))

    await scene.in_a_browser(act)


async def uploads(scene: Scene) -> None:
    """Twenty archives of a gigabyte at once, one a workspace; over when all of them are checked."""
    with tempfile.NamedTemporaryFile() as archive:
        size = await asyncio.to_thread(_write_large, Path(archive.name))

        def act(_: Session, attacker: Attacker) -> Iterable[str]:
            with Path(archive.name).open("rb") as content:
                yield from _upload(scene.site, attacker, "large", content, size=size)

        await scene.in_a_browser(act)
    tenants = [attacker.id for attacker in scene.attackers]
    while left := await asyncio.to_thread(run_in_site, "usage.unchecked", tenants=tenants):
        print(f"    {left} archives wait for their check", file=sys.stderr, flush=True)
        await asyncio.sleep(5)


def _upload(site: str, attacker: Attacker, name: str, content: BinaryIO, *, size: int) -> Iterable[str]:
    """Upload an archive over the API; yield what was answered."""
    with Api(site, attacker.api_key) as api:
        style = api.post("styles", {"slug": name, "name": name, "sample_prompt": "Rain?"})
        version = api.begin_upload(style["id"], {"style.zip": size})
        for file in version["upload"]["files"]:
            form = file["form"]
            files = {"file": ("style.zip", content)}
            answer = httpx2.post(form["url"], data=form["fields"], files=files, timeout=UPLOADS_S)
            yield f"stored {answer.status_code}"
        api.post(f"uploads/{version['id']}/finish")
    yield "finished"


def _write_large(file: Path) -> int:
    """Write an archive of weights that don't pack, LARGE_BYTES of them; return its size."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.write(STYLE / "adapter_config.json", "adapter_config.json")
        with archive.open("adapter_model.safetensors", "w", force_zip64=True) as weights:
            for _ in range(LARGE_BYTES // MIB):
                weights.write(os.urandom(MIB))
    return file.stat().st_size


def _bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(STYLE / "adapter_config.json", "adapter_config.json")
        with archive.open("adapter_model.safetensors", "w", force_zip64=True) as weights:
            for _ in range(64):
                weights.write(bytes(16 * 1024 * 1024))
    return out.getvalue()


@dataclass(frozen=True)
class Attack:
    """One attack: what is done, by how many workspaces, and when it is ended."""

    act: Callable[[Scene], Awaitable[None]]
    attackers: int = 2
    limit_s: float = ATTACK_S
    is_repeated: bool = True

    async def run(self, scene: Scene) -> None:
        """Do it, again and again for REPEATED_S. Raises TimeoutError when it takes longer than its limit."""
        until_s = time.monotonic() + REPEATED_S
        async with asyncio.timeout(self.limit_s):
            await self.act(scene)
            while self.is_repeated and time.monotonic() < until_s:
                await self.act(scene)


ATTACKS = {
    "sequences": Attack(sequences),
    "one_token": Attack(one_token, attackers=OTHERS),
    "long_sequences": Attack(long_sequences, attackers=OTHERS),
    "long_whole": Attack(long_whole, attackers=OTHERS),
    "hung_up": Attack(hung_up, attackers=OTHERS),
    "refused": Attack(refused),
    "compare": Attack(compare),
    "archives": Attack(archives, is_repeated=False),
    "uploads": Attack(uploads, attackers=20, limit_s=UPLOADS_S, is_repeated=False),
}
