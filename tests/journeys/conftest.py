"""Journeys run beside the whole stack, real engine included: `make test`, or

python -m stack run --all -- pytest tests/journeys
"""

import html
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from uuid import uuid4

import openai
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from stack.api import Api, Upload, await_serving, upload_style
from stack.folders import ROOT, Folders
from stack.pages import Session, fetched, link, mailed_link, post_form, signed_in
from tests.chromium import launch
from tests.waiting import eventually

ENGINE_PYTHON = ROOT / ".venv-engine" / "bin" / "python"
PASSWORD = "correct horse battery staple"
SAMPLE_PROMPT = "Describe a morning in the city."


@dataclass
class Writer:
    """A tenant's member: a browser session without JavaScript, and a key for programs."""

    site: str
    session: Session
    api_key: str

    @cached_property
    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.site}/v1", api_key=self.api_key, max_retries=0, timeout=120)

    def close(self) -> None:
        self.session.close()
        self.client.close()
        self.api.close()

    def say(self, model: str, prompt: str, **options: object) -> str:
        answer = self.client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": prompt}], **options
        )
        return answer.choices[0].message.content or ""

    def upload(self, folder: Path, *, after: Upload | None = None) -> Upload:
        """Upload an adapter, as a version after another one if given, and wait until it serves."""
        upload = upload_style(self.api, folder, after=after, sample_prompt=SAMPLE_PROMPT)
        await_serving(self.api, upload)
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
def demo(site) -> Iterator[Writer]:
    """The seeded writer, on the studio plan."""
    known = json.loads(Path(os.environ["DEMO_SECRETS_FILE"]).read_text())
    session = signed_in(site, login=known["login"], password=known["password"])
    with closing(Writer(site, session, known["api_key"])) as writer:
        yield writer


@pytest.fixture
def stranger(site) -> Iterator[Writer]:
    """Somebody who has just signed up, on the free plan, with a key of their own."""
    name = f"stranger-{uuid4().hex[:8]}"
    with closing(Session(base_url=site, follow_redirects=True, timeout=30)) as session:
        page = fetched(session, "/accounts/signup/")
        email = f"{name}@example.org"
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
def random_adapters(tmp_path_factory) -> list[Path]:
    """Ten small random adapters, each with greedy texts of its own."""
    folder = tmp_path_factory.mktemp("adapters")
    run_engine_script(
        "generate.py", "--base", os.environ["BASE_MODEL_DIR"], "--out", str(folder), "--count", "10"
    )
    return sorted(folder.iterdir())


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
        context.on(
            "console", lambda message: faults.append(message.text) if message.type == "error" else None
        )
        context.on("weberror", lambda fault: faults.append(str(fault.error)))
        yield context.new_page()
        browser.close()
        assert faults == [], "the browser's console must stay clean: no CSP violation, no script error"


def log_in(page: Page, path: str) -> None:
    """Log in as the seeded writer; end at a page."""
    known = json.loads(Path(os.environ["DEMO_SECRETS_FILE"]).read_text())
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(known["login"])
    page.get_by_label("Password").fill(known["password"])
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page).not_to_have_url(re.compile("/accounts/login/"))
    page.goto(path)


def run_engine_script(name: str, *options: str, stdin: str = "") -> str:
    """Run one of engine/'s scripts in the engine's own environment; return what it prints."""
    command = [ENGINE_PYTHON, ROOT / "engine" / name, *options]
    # PyTorch's threads spin while they wait for each other: on a busy machine two are slower than one.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, input=stdin, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def kill(name: str) -> None:
    """Kill one of the stack's programs, and all that it started, with SIGKILL; return when they are gone."""
    group = group_of(name)
    os.killpg(group, signal.SIGKILL)
    eventually(lambda: not runs(group), within_s=60, what=f"{name} was killed and is still there")


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
