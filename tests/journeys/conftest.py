"""Journeys run beside the whole stack, real engine included: `make test`, or

python -m stack run --all -- pytest tests/journeys

Most of them only ask, and several workers run those beside one stack: what such a journey changes belongs to
a writer or a style of its own. Those marked `alone` kill parts, measure times, fill the engine or read logs.
"""

import fcntl
import html
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from uuid import uuid4

import anthropic
import openai
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from stack.api import (
    Api,
    Session,
    Upload,
    await_serving,
    fetched,
    link,
    post_form,
    signed_in,
    upload_style,
)
from stack.folders import ROOT, Folders
from tests.chromium import launch
from tests.javascript import install_client
from tests.waiting import eventually

ENGINE_PYTHON = ROOT / ".venv-engine" / "bin" / "python"
PASSWORD = "correct horse battery staple"
SAMPLE_PROMPT = "Describe a morning in the city."
# A busy machine takes several times as long; what hangs is ended all the same.
LONGEST_S = 1800
expect.set_options(timeout=90_000)  # of Playwright, after tests.chromium: pages wait for a real engine


def pytest_collection_modifyitems(items) -> None:
    for item in items:
        if item.path.parent.name == "journeys":
            item.add_marker(pytest.mark.timeout(LONGEST_S))


@dataclass
class Writer:
    """A tenant's member: a browser session without JavaScript, and a key for programs."""

    site: str
    session: Session
    api_key: str

    @cached_property
    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.site}/v1", api_key=self.api_key, max_retries=0, timeout=600)

    @cached_property
    def claude(self) -> anthropic.Anthropic:
        return anthropic.Anthropic(base_url=self.site, api_key=self.api_key, max_retries=0, timeout=600)

    def close(self) -> None:
        for client in (self.session, self.client, self.claude, self.api):
            client.close()

    @contextmanager
    def with_key(self, api_key: str) -> Iterator["Writer"]:
        """Yield the writer with another key for programs."""
        other = replace(self, api_key=api_key)
        yield other
        other.client.close()
        other.claude.close()

    def say(self, model: str, prompt: str, **options: object) -> str:
        answer = self.client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": prompt}], **options
        )
        return answer.choices[0].message.content or ""

    def upload(self, folder: Path, *, after: Upload | None = None) -> Upload:
        """Upload an adapter, as a version after another one if given, and wait until it serves."""
        upload = upload_style(self.api, folder, after=after, sample_prompt=SAMPLE_PROMPT)
        await_serving(self.api, upload, within_s=300)
        return upload

    def store_responses(self) -> None:
        """Have the workspace's responses stored for a week; all else in its settings stays."""
        page = fetched(self.session, "/settings/")
        name = html.unescape(re.search(r'<input[^>]*name="name"[^>]*value="([^"]+)"', page)[1])
        style = re.search(r'<option value="([0-9a-f-]{36})" selected', page)
        chosen = style[1] if style else ""
        self.post("/settings/workspace/", name=name, default_style=chosen, responses_kept_days="7")

    @cached_property
    def api(self) -> Api:
        """The management API, by the writer's key."""
        return Api(self.site, self.api_key)

    def post(self, path: str, **form: str) -> str:
        """Send a form of a page that is found at the path's parent; return the page that follows."""
        page = fetched(self.session, link(fetched(self.session, "/"), "k"))
        answer = post_form(self.session, path, page, **form)
        assert answer.status_code == 200, (path, answer.status_code)
        return answer.text


@pytest.fixture(scope="session")
def site() -> str:
    return os.environ["SITE_URL"]


@pytest.fixture(scope="session")
def make_once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Return a function that makes a folder by its name, once for all workers of this run."""
    base = tmp_path_factory.getbasetemp()
    common = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder = common / name
        with (common / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = common / f"{name}.done"
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def demo(site, make_once) -> Iterator[Writer]:
    """The seeded writer, on the studio plan. All workers share one session: tries to log in are limited."""
    known = json.loads(Path(os.environ["DEMO_SECRETS_FILE"]).read_text())

    def log_in(folder: Path) -> None:
        with closing(signed_in(site, login=known["login"], password=known["password"])) as session:
            (folder / "cookies.json").write_text(json.dumps(dict(session.cookies)))

    cookies = json.loads((make_once("session", log_in) / "cookies.json").read_text())
    session = Session(base_url=site, follow_redirects=True, timeout=60, cookies=cookies)
    with closing(Writer(site, session, known["api_key"])) as writer:
        yield writer


@pytest.fixture
def stranger(site) -> Iterator[Writer]:
    """Somebody who has just signed up, on the free plan, with a key of their own."""
    name = f"stranger-{uuid4().hex[:8]}"
    with closing(Session(base_url=site, follow_redirects=True, timeout=60)) as session:
        page = fetched(session, "/accounts/signup/")
        email = f"{name}@{name}.example"  # few new people a day come from one domain
        answer = post_form(session, "/accounts/signup/", page, email=email, password1=PASSWORD)
        assert "signup" not in answer.url.path, answer.text
        address = mailed_link(session, email)
        page = post_form(session, address, fetched(session, address)).text
        post_form(session, "/found/", page, workspace=name)
        writer = Writer(site, session, "")
        issued = writer.post(
            "/keys/issue/", name="journey", lifetime_days="", scopes="admin", monthly_tokens=""
        )
        writer.api_key = re.search(r"sk-ps-[0-9A-Za-z]{36}", issued).group()
        yield writer
        writer.close()


@pytest.fixture(scope="session")
def random_adapters(make_once) -> list[Path]:
    """Ten small random adapters, each with greedy texts of its own."""
    options = ["--base", os.environ["BASE_MODEL_DIR"], "--count", "10"]
    folder = make_once(
        "adapters", lambda folder: run_engine_script("generate.py", *options, "--out", str(folder))
    )
    return sorted(folder.iterdir())


@pytest.fixture(scope="session")
def javascript(make_once) -> Path:
    """A folder with the official JavaScript client and the scripts that use it."""
    return make_once("javascript", install_client)


@pytest.fixture
def faults() -> list[str]:
    """What the browser's console tells; a test takes out what it provoked."""
    return []


@pytest.fixture
def page(site, faults) -> Iterator[Page]:
    """A real Chromium whose console must stay clean."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        context = browser.new_context(base_url=site, viewport={"width": 1280, "height": 900})
        context.set_default_timeout(120_000)
        context.on(
            "console", lambda message: faults.append(message.text) if message.type == "error" else None
        )
        context.on("weberror", lambda fault: faults.append(str(fault.error)))
        yield context.new_page()
        browser.close()
        assert faults == [], "the browser's console must stay clean: no CSP violation, no script error"


def mailed_link(session: Session, address: str) -> str:
    """Return the path that the newest mail to an address leads to, from the demo's mailbox."""
    for mail in re.findall(r"<article\b.*?</article>", fetched(session, "/mailbox/"), re.DOTALL):
        found = re.search(r'href="https?://[^/"]+(/[^"]+)"', mail)
        if address in mail and found:
            return html.unescape(found.group(1))
    pytest.fail(f"There is no mail with a link to {address}.")


def log_in(page: Page, writer: Writer, path: str) -> None:
    """Give the browser a writer's session; end at a page."""
    session = {"name": "sessionid", "value": writer.session.cookies["sessionid"], "url": writer.site}
    page.context.add_cookies([session])
    page.goto(path)


def run_engine_script(name: str | Path, *options: str, stdin: str = "") -> str:
    """Run a program of dev/labs/engine/, or a path, by the engine's own Python; return what it prints."""
    command = [ENGINE_PYTHON, ROOT / "dev" / "labs" / "engine" / name, *options]
    # PyTorch's threads spin while they wait for each other: on a busy machine two are slower than one.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, input=stdin, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def kill(name: str) -> None:
    """Kill one of the stack's programs, and all that it started, with SIGKILL; return when they are gone."""
    group = group_of(name)
    os.killpg(group, signal.SIGKILL)
    eventually(lambda: not runs(group), within_s=300, what=f"{name} was killed and is still there")


def group_of(name: str) -> int:
    """Return the process group of one of the stack's programs."""
    record = Folders(Path(os.environ["DEMO_SECRETS_FILE"]).parent).pids / f"{name}.json"
    return json.loads(record.read_text())["pid"]


def runs(group: int) -> bool:
    """Return whether any process of a group is there, but for dead ones that nobody has reaped.

    A dead one still has its sockets open, and is connected to, until the last of its threads has ended.
    """
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, _, process_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(process_group) != group:
                continue
            threads = len(list(stat.with_name("task").iterdir()))
            if state not in "ZX" or threads > 1:
                return True
    return False
