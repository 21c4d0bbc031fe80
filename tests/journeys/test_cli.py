"""The command line as people have it: installed alone, against the whole stack, killed in the middle."""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from stack.api import Api
from stack.bootstrap import find_uv
from stack.folders import ROOT
from tests.journeys.conftest import eventually

SHIPPED = ROOT / "engine" / "styles" / "legal"
WEIGHTS = "adapter_model.safetensors"
PROMPT = "Describe a morning in the city."


@dataclass(frozen=True)
class CommandLine:
    """An installed `polyscribe`, with a config folder of its own."""

    program: Path
    config: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "POLYSCRIBE_CONFIG_DIR": str(self.config)}

    def run(self, *arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [self.program, *map(str, arguments)],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=600,
        )

    def json(self, *arguments: object, code: int = 0):
        """Return what a command prints for programs."""
        done = self.run(*arguments, "--json")
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [self.program, *map(str, arguments)],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )


class Receiver(ThreadingHTTPServer):
    """A receiver of webhooks on loopback that keeps what is posted to it, by path."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ReceiverHandler)
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def events(self, path: str, secret: str, style: str) -> list[tuple[str, str]]:
        """Return the type and id of each event of a style, once its signature is verified."""
        found = []
        for its_path, headers, body in self.received:
            if its_path == path:
                event = Webhook(secret).verify(body, headers)
                if style in body.decode():
                    found.append((event["type"], headers["webhook-id"]))
        return found


class ReceiverHandler(BaseHTTPRequestHandler):
    server: Receiver

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append((self.path, headers, body))
        self.send_response_only(204)
        self.end_headers()


@pytest.fixture(scope="module")
def installed(make_once) -> Path:
    """The program, installed in an environment that has nothing else, in the versions that uv.lock pins."""

    def install(folder: Path) -> None:
        pins, uv = folder / "pins.txt", find_uv()
        export = ["export", "-q", "--frozen", "--all-groups", "--no-hashes", "--no-emit-project", "-o", pins]
        constraints = ["--constraints", pins, "--build-constraints", pins]
        into = ["--python", folder / "venv" / "bin" / "python"]
        for arguments in (
            export,
            ["venv", "-q", "--python", sys.executable, folder / "venv"],
            ["pip", "install", "-q", *constraints, *into, ROOT / "cli"],
        ):
            subprocess.run([uv, *arguments], cwd=ROOT, check=True, timeout=600, stdout=subprocess.DEVNULL)

    return make_once("command-line", install) / "venv" / "bin" / "polyscribe"


@pytest.fixture
def command(installed, demo, tmp_path) -> CommandLine:
    """The command line, logged in to the demo's workspace."""
    command = CommandLine(installed, tmp_path / "config")
    done = command.run("login", "--base-url", demo.site, stdin=f"{demo.api_key}\n")
    assert done.returncode == 0, done.stderr
    return command


def kill_in_the_middle(push: subprocess.Popen[str], api: Api, model: str, number: int) -> None:
    """Kill a push as soon as its version is there, wherever it stands by then."""

    def is_there() -> bool:
        versions = api.get(f"styles/{model}/versions")["data"]
        return number in [version["number"] for version in versions]

    eventually(is_there, within_s=300, every_s=0.3, what="the push began no version")
    push.kill()
    push.wait()


def test_a_receiver_sees_each_event_of_a_push_once(command):
    style = f"told-{secrets.token_hex(3)}"
    with Receiver() as server, ExitStack() as cleanup:
        cleanup.callback(server.shutdown)
        address = f"http://127.0.0.1:{server.server_port}"
        endpoint = command.json("webhooks", "create", f"{address}/delivered", "--event", "version.serving")
        assert command.run("webhooks", "trigger", endpoint["id"]).returncode == 0
        secret = endpoint["secret"]
        listener = command.start("webhooks", "listen", "--forward", f"{address}/heard", "--secret", secret)
        cleanup.callback(listener.kill)

        assert command.run("push", SHIPPED, "--style", style).returncode == 0

        for path in ("/delivered", "/heard"):
            eventually(
                lambda path=path: "version.serving" in dict(server.events(path, secret, style)),
                within_s=300,
                what=f"no event came to {path}",
            )
        listener.send_signal(signal.SIGINT)
        assert listener.wait(timeout=600) == 130
        delivered = server.events("/delivered", secret, style)
        heard = server.events("/heard", secret, style)
        assert [event_type for event_type, _ in delivered] == ["version.serving"]
        assert set(delivered) <= set(heard)
        assert len(heard) == len(set(heard))
    assert command.run("webhooks", "delete", endpoint["id"], "--yes").returncode == 0


def test_from_a_login_to_the_usage_that_was_billed(command, demo, tmp_path):
    style = f"cli-{secrets.token_hex(3)}"
    workspace = command.json("whoami")["workspace"]["slug"]
    model = f"{workspace}/{style}"

    done = command.run("push", SHIPPED, "--style", style, "--name", "From a terminal")
    assert done.returncode == 0, done.stderr
    assert "✓ Serving" in done.stderr
    [listed] = command.json("styles", "--kind", "own", "--search", style)
    assert (listed["model"], listed["live_version"]) == (model, 1)

    again = ("push", SHIPPED.with_name("poetry"), "--style", style, "--no-promote")
    kill_in_the_middle(command.start(*again), demo.api, model, 2)
    assert command.json(*again)["number"] == 2, "the version that was begun, and no other"

    copy = tmp_path / "copy"
    assert command.json("styles", "download", style, 1, "--to", copy)["version"] == 1
    assert (copy / WEIGHTS).read_bytes() == (SHIPPED / WEIGHTS).read_bytes()

    answers = [
        command.run("chat", PROMPT, "--style", name, "--max-tokens", 8) for name in (style, f"{style}@2")
    ]
    assert [answer.returncode for answer in answers] == [0, 0], answers
    assert all(answer.stdout.strip() for answer in answers)
    compared = command.json("compare", style, 1, 2, "--prompt", PROMPT, "--max-tokens", 8)
    assert [answer["model"] for answer in compared["answers"]] == [f"{style}@1", f"{style}@2"]

    assert command.json("canary", style, 2, 10)["percent"] == 10
    assert command.run("canary", style, "--end").returncode == 0
    assert command.json("promote", style, 2)["is_live"]
    assert command.json("rollback", style)["number"] == 1
    assert [version["is_live"] for version in command.json("versions", style)] == [False, True]

    def is_counted() -> bool:
        report = command.json("usage", "--group-by", "style,version", "--style", model)
        counts = {row["version"]: row["requests"] for row in report["data"]}
        return counts == {1: 2, 2: 2}

    eventually(is_counted, within_s=300, what="the usage of four requests")
    assert command.run("retire", style, 2, "--yes").returncode == 0


def test_a_key_that_was_revoked_opens_nothing(command, demo, tmp_path):
    key = command.json("keys", "create", f"cli {secrets.token_hex(3)}", "--scope", "styles:read")
    other = CommandLine(command.program, tmp_path / "other")
    assert other.run("login", "--base-url", demo.site, stdin=f"{key['secret']}\n").returncode == 0
    assert other.run("styles").returncode == 0

    refused = other.run("push", SHIPPED, "--style", "brand-voice")
    assert refused.returncode == 4
    assert "styles:write" in refused.stderr

    assert command.run("keys", "revoke", key["id"], "--yes").returncode == 0
    assert other.run("styles").returncode == 4


def test_a_service_that_is_not_there_is_one_sentence(installed, tmp_path):
    nobody = CommandLine(installed, tmp_path / "config")
    done = nobody.run("login", "--base-url", "http://127.0.0.1:9", stdin="sk-ps-x\n")

    assert done.returncode == 3
    assert "is not responding" in done.stderr
    assert "Traceback" not in done.stderr
