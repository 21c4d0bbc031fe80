"""What is measured: the stub itself, and each gateway in front of it, with how it is started."""

import secrets
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata

from labs.machine import Cores, pinned
from stack import application
from stack.folders import ROOT
from stack.ports import Ports
from stack.processes import Program
from stack.services import Stack

PEERS = ROOT / ".venv-peers"
FILES = ROOT / "bench" / "peers"
READY_WITHIN_S = 120.0
HINTS = {
    "nginx": "nginx is not on PATH: install it (Debian and Ubuntu: nginx-light), or go without its row.",
    "litellm": "LiteLLM is not installed: `make bench-peers` does it; or go without its row.",
}


@dataclass(frozen=True)
class Target:
    """One gateway: its address and key, its process, and what it calls the stub's models."""

    name: str
    url: str
    key: str = "none"
    pid: int | None = None
    prefix: str = ""

    def model(self, pace: str) -> str:
        return self.prefix + pace


@dataclass(frozen=True)
class Starter:
    """Starts gateways on the gateway's cores, in front of one stub."""

    stack: Stack
    ports: Ports
    cores: Cores
    stub_port: int

    def direct(self) -> Target:
        """The stub itself."""
        return Target("direct", f"http://127.0.0.1:{self.stub_port}")

    def nginx(self) -> Target:
        """The floor: a proxy in C that checks and counts nothing."""
        port = self.ports.take("nginx")
        folder = self.stack.folders.var / "nginx"
        folder.mkdir()
        text = (FILES / "nginx.conf").read_text()
        conf = folder / "nginx.conf"
        conf.write_text(text.replace("STUB_PORT", str(self.stub_port)).replace("OWN_PORT", str(port)))
        program = Program(
            name="nginx",
            title="nginx",
            argv=[which("nginx"), "-p", str(folder), "-c", str(conf)],
            env={},
            layer=2,
        )
        return Target("nginx", f"http://127.0.0.1:{port}", pid=self._started(program, port, "/health"))

    def litellm(self) -> Target:
        """LiteLLM's proxy, one worker; bench/peers/litellm.yaml is its configuration."""
        port = self.ports.take("litellm")
        key = "sk-" + secrets.token_hex(16)
        valkey = self.stack.variables["CELERY_BROKER_URL"].removesuffix("/1")
        variables = litellm_variables(f"http://127.0.0.1:{self.stub_port}/v1", f"{valkey}/9", key)
        argv = [str(PEERS / "bin" / "litellm"), "--config", str(FILES / "litellm.yaml")]
        argv += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", "--telemetry", "False"]
        program = Program(name="litellm", title="LiteLLM", argv=argv, env=variables, layer=2)
        pid = self._started(program, port, "/health/liveliness")
        return Target("litellm", f"http://127.0.0.1:{port}", key, pid)

    def polyscribe(self, key: str, *, workers: int = 1) -> Target:
        """A gateway process as the stack starts the site: the same but for its pages."""
        port = self.ports.take(f"web-{workers}")
        name = f"web-{workers}"
        variables = {**self.stack.variables, "WEB_WORKERS": str(workers)}
        web = application.programs(port, variables, self.stack.folders)[0]
        argv = [word.replace("config.asgi", "config.gateway") for word in web.argv]
        pid = self._started(replace(web, name=name, argv=argv), port, "/healthz", workers=workers)
        return Target("polyscribe", f"http://127.0.0.1:{port}", key, pid, prefix="style-")

    def _started(self, program: Program, port: int, path: str, *, workers: int = 1) -> int:
        up = self.stack.supervisor
        with pinned(self.cores.gateway(workers)):
            up.start(program)
        up.await_ready(
            program.name, partial(answers, f"http://127.0.0.1:{port}{path}"), within_s=READY_WITHIN_S
        )
        return up.pid(program.name)


def missing() -> dict[str, str]:
    """Return the peers that are not here, and what to do about it."""
    there = {"nginx": which("nginx"), "litellm": (PEERS / "bin" / "litellm").exists()}
    return {name: HINTS[name] for name, found in there.items() if not found}


def which(program: str) -> str:
    """Return a program's path, or "" where it isn't; system folders count, which few people have on PATH."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin:/usr/local/sbin") or ""


def litellm_variables(stub_api: str, limits_url: str, key: str) -> Mapping[str, str]:
    """Return LiteLLM's environment: no log of requests, no look-ups elsewhere."""
    return {
        "STUB_API": stub_api,
        "LIMITS_URL": limits_url,
        "LITELLM_BENCH_KEY": key,
        "LITELLM_BENCH_MASTER_KEY": "sk-" + secrets.token_hex(32),
        "LITELLM_LOG": "ERROR",  # no access log
        "AIOHTTP_CONNECTOR_LIMIT": "4000",  # by default it holds 500 streams
        "AIOHTTP_CONNECTOR_LIMIT_PER_HOST": "4000",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "PATH": f"{PEERS / 'bin'}:/usr/bin:/bin",
    }


def answers(url: str) -> bool:
    """Return whether an address answers with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def versions() -> dict[str, str]:
    """Return the versions of what was measured."""
    found = {"python": sys.version.split()[0], "uvicorn": metadata.version("uvicorn")}
    if nginx := which("nginx"):
        said = subprocess.run([nginx, "-v"], capture_output=True, text=True).stderr
        found["nginx"] = said.strip().rpartition("/")[2]
    for folder in PEERS.glob("lib/python*/site-packages/litellm-*.dist-info"):
        found["litellm"] = folder.name.removeprefix("litellm-").removesuffix(".dist-info")
    return found


def stub(port: int) -> Program:
    """Return the stub engine as a program."""
    argv = [sys.executable, "-m", "labs.fake_vllm.prepared_bytes", str(port)]
    return Program(name="stub", title="stub engine", argv=argv, env={"PYTHONPATH": str(ROOT)}, layer=1)


def module(name: str, *words: str, variables: Mapping[str, str]) -> str:
    """Return the last line that a module of ours prints beside the services. Raises CalledProcessError."""
    command = [sys.executable, "-m", name, *words]
    done = subprocess.run(
        command, cwd=ROOT, env=dict(variables), stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.splitlines()[-1]
