"""The command line as people have it: installed alone, against the whole stack, killed in the middle."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from safetensors import safe_open
from standardwebhooks import Webhook

from labs.broken_adapters import CONFIG, WEIGHTS, Adapter
from stack.bootstrap import find_uv
from stack.folders import ROOT
from tests.journeys.conftest import eventually

SHIPPED = ROOT / "engine" / "styles" / "legal"
PART_BYTES = 8 * 1024 * 1024
HELD_WITHIN_S = 60
PROMPT = "Describe a morning in the city."


@dataclass(frozen=True)
class CommandLine:
    """An installed `polyscribe`, with a config folder of its own."""

    program: Path
    config: Path
    proxy: str = ""

    @property
    def environment(self) -> dict[str, str]:
        variables = {"PATH": os.environ["PATH"], "POLYSCRIBE_CONFIG_DIR": str(self.config)}
        return variables | ({"HTTP_PROXY": self.proxy} if self.proxy else {})

    def run(self, *arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [self.program, *map(str, arguments)],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=240,
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


class Server(ThreadingHTTPServer):
    """A server of this test on loopback."""

    daemon_threads = True
    block_on_close = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Receiver(Server):
    """A receiver of webhooks that keeps what is posted to it, by path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ReceiverHandler)
        self.received: list[tuple[str, dict[str, str], bytes]] = []

    def events(self, path: str, secret: str, style: str) -> list[tuple[str, str]]:
        """Return the type and id of each event of a style, once its signature is verified."""
        found = []
        for its_path, headers, body in self.received:
            if its_path == path:
                event = Webhook(secret).verify(body, headers)
                if style in body.decode():
                    found.append((event["type"], headers["webhook-id"]))
        return found


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing."""


class ReceiverHandler(Handler):
    """Takes each delivery."""

    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append((self.path, headers, body))
        self.send_response_only(204)
        self.end_headers()


class CountingProxy(Server):
    """An HTTP proxy that counts the parts that the storage took, and may hold back all after some."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.parts: list[tuple[str, int]] = []  # (path, number)
        self.let_through: int | None = None
        self.is_holding = threading.Event()
        self._lock = threading.Lock()
        self._admitted = 0

    def admits_part(self) -> bool:
        """Return whether one more part may go to the storage."""
        with self._lock:
            if self.let_through is not None and self._admitted >= self.let_through:
                self.is_holding.set()
                return False
            self._admitted += 1
            return True


class ProxyHandler(Handler):
    """Passes a request on, and its answer back as it comes."""

    server: CountingProxy

    def handle_request_to_other(self) -> None:
        target = urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        number = parse_qs(target.query).get("partNumber")
        if len(body) < length or (number and not self.server.admits_part()):
            return  # the client is gone; or it waits for an answer that does not come
        connection = HTTPConnection(target.hostname or "", target.port or 80, timeout=120)
        headers = {name: value for name, value in self.headers.items() if name != "Connection"}
        connection.request(self.command, f"{target.path}?{target.query}", body, headers)
        answer = connection.getresponse()
        if number and answer.status == 200:
            self.server.parts.append((target.path, int(number[0])))
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        self.end_headers()
        while chunk := answer.read1(65536):
            self.wfile.write(chunk)
        connection.close()

    do_GET = do_POST = do_PUT = do_DELETE = handle_request_to_other


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The program, installed in an environment that has nothing else, in the versions that uv.lock pins."""
    folder = tmp_path_factory.mktemp("cli")
    python = folder / "venv" / "bin" / "python"
    pins = folder / "pins.txt"
    uv = find_uv()
    export = [uv, "export", "-q", "--frozen", "--all-groups", "--no-hashes", "--no-emit-project"]
    subprocess.run(
        [*export, "--output-file", pins], cwd=ROOT, check=True, timeout=60, stdout=subprocess.DEVNULL
    )
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder / "venv"], check=True, timeout=60)
    install = [uv, "pip", "install", "-q", "--constraints", pins, "--build-constraints", pins]
    subprocess.run([*install, "--python", python, ROOT / "cli"], check=True, timeout=240)
    assert installed_versions(uv, python).items() <= pinned_versions(pins).items()
    return python.with_name("polyscribe")


def installed_versions(uv: str, python: Path) -> dict[str, str]:
    """Return the version of each package of an environment, without the program itself."""
    listed = subprocess.run(
        [uv, "pip", "list", "--python", python, "--format", "json"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    versions = {row["name"]: row["version"] for row in json.loads(listed.stdout)}
    del versions["polyscribe-cli"]
    return versions


def pinned_versions(pins: Path) -> dict[str, str]:
    """Return the version of each package that a file of requirements pins."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", pins.read_text(), re.MULTILINE))


@pytest.fixture
def command(installed, demo, tmp_path) -> CommandLine:
    """The command line, logged in to the demo's workspace."""
    command = CommandLine(installed, tmp_path / "config")
    done = command.run("login", "--base-url", demo.site, stdin=f"{demo.api_key}\n")
    assert done.returncode == 0, done.stderr
    return command


@contextmanager
def serving[Kind: Server](server: Kind) -> Iterator[Kind]:
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def pad_rank(source: Path, target: Path, rank: int) -> None:
    """Write an adapter with a higher rank that does the same: the added rows and columns are zero."""
    config = json.loads((source / CONFIG).read_bytes())
    config["lora_alpha"] = config["lora_alpha"] * rank / config["r"]
    added = rank - config["r"]
    config["r"] = rank
    tensors = {}
    with safe_open(source / WEIGHTS, framework="numpy") as weights:
        for name in weights.keys():  # noqa: SIM118 (not a dict)
            tensor = weights.get_tensor(name)
            is_a = ".lora_A." in name
            tensors[name] = np.pad(tensor, ((0, added), (0, 0)) if is_a else ((0, 0), (0, added)))
    Adapter(config, tensors).write(target)


def push_killed_and_again(
    command: CommandLine, folder: Path, style: str, *options: str, killed_after: int
) -> tuple[subprocess.CompletedProcess[str], Counter[tuple[str, int]]]:
    """Kill a push once the storage has some parts, run it again; return how it ended and what was sent."""
    with serving(CountingProxy()) as proxy:
        proxied = CommandLine(command.program, command.config, proxy.url)
        proxy.let_through = killed_after
        first = proxied.start("push", folder, "--style", style, *options)
        assert proxy.is_holding.wait(HELD_WITHIN_S)
        eventually(lambda: len(proxy.parts) == killed_after, within_s=30, what="the parts did not arrive")
        first.send_signal(signal.SIGKILL)
        first.wait()
        proxy.let_through = None
        return proxied.run("push", folder, "--style", style, *options, "--json"), Counter(proxy.parts)


def count_parts(folder: Path) -> int:
    sizes = [(folder / name).stat().st_size for name in (CONFIG, WEIGHTS)]
    return sum(-(-size // PART_BYTES) for size in sizes)


@pytest.mark.timeout(600)
def test_a_receiver_sees_each_event_of_a_push_once(command):
    style = f"told-{secrets.token_hex(3)}"
    with serving(Receiver()) as server:
        address = server.url
        endpoint = command.json("webhooks", "create", f"{address}/delivered", "--event", "version.serving")
        assert command.run("webhooks", "trigger", endpoint["id"]).returncode == 0
        secret = endpoint["secret"]
        listener = command.start("webhooks", "listen", "--forward", f"{address}/heard", "--secret", secret)

        assert command.run("push", SHIPPED, "--style", style).returncode == 0

        for path in ("/delivered", "/heard"):
            eventually(
                lambda path=path: "version.serving" in dict(server.events(path, secret, style)),
                within_s=60,
                what=f"no event came to {path}",
            )
        listener.send_signal(signal.SIGINT)
        assert listener.wait(timeout=30) == 130
        delivered = server.events("/delivered", secret, style)
        heard = server.events("/heard", secret, style)
        assert [event_type for event_type, _ in delivered] == ["version.serving"]
        assert set(delivered) <= set(heard)
        assert len(heard) == len(set(heard))
    assert command.run("webhooks", "delete", endpoint["id"], "--yes").returncode == 0


@pytest.mark.timeout(600)
def test_from_a_login_to_the_usage_that_was_billed(command, tmp_path):
    style = f"cli-{secrets.token_hex(3)}"
    workspace = command.json("whoami")["workspace"]["slug"]
    model = f"{workspace}/{style}"

    done = command.run("push", SHIPPED, "--style", style, "--name", "From a terminal")
    assert done.returncode == 0, done.stderr
    assert "✓ Serving" in done.stderr
    [listed] = command.json("styles", "--kind", "own", "--search", style)
    assert (listed["model"], listed["live_version"]) == (model, 1)

    padded = tmp_path / "padded"
    pad_rank(SHIPPED, padded, rank=16)
    done, sent = push_killed_and_again(command, padded, style, "--no-promote", killed_after=2)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["number"] == 2
    assert len(sent) == count_parts(padded) > 2
    assert set(sent.values()) == {1}

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

    eventually(is_counted, within_s=60, what="the usage of four requests")
    assert command.run("retire", style, 2, "--yes").returncode == 0


@pytest.mark.timeout(600)
def test_200_mb_killed_half_way_are_not_sent_again_and_a_rejection_is_told(command, tmp_path):
    """Its rank is far above what the engine takes: no adapter of this base is that large and served."""
    style = f"large-{secrets.token_hex(3)}"
    large = tmp_path / "large"
    pad_rank(SHIPPED, large, rank=330)
    parts = count_parts(large)
    assert (large / WEIGHTS).stat().st_size > 200_000_000

    done, sent = push_killed_and_again(command, large, style, killed_after=parts // 2)

    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert "rank_too_high" in [finding["code"] for finding in error["findings"]]
    assert len(sent) == parts > 20
    assert set(sent.values()) == {1}


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
