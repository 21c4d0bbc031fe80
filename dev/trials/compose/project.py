"""The services of docker-compose.yml, run by podman: up, down, what they are, and how they die."""

import json
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from stack import env_file
from stack.api import wait_until
from stack.errors import Miss
from stack.folders import ROOT
from trials.compose import mail
from trials.debian import run

NAME = "polyscribe-trial"
COMPOSE = ROOT / "docker-compose.yml"
HOST_ADDRESS = "172.30.77.1"  # as the network `outside` knows this host
CHECK_EVERY_S = 2.0
HEALTHY_EVERY = 15  # rounds
SOCKET_WITHIN_S = 20.0
RESTART_WITHIN_S = 30.0


@dataclass(frozen=True)
class Container:
    """One service's container."""

    name: str
    service: str
    state: str
    health: str  # "" for a service without a health check
    exit_code: int
    pid: int
    created_s: float  # Unix seconds

    @property
    def is_well(self) -> bool:
        """Return whether it does what it is for: it is healthy, or it was a task and is done."""
        if self.state == "running":
            return self.health in ("", "healthy")
        return self.state == "exited" and self.exit_code == 0


class Project:
    """The compose project of a trial; its files lie in `folder`."""

    def __init__(self, folder: Path, variables: Mapping[str, str], *, mail_certificate: Path) -> None:
        self.folder = folder
        self.services: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
        self._env = folder / "env"
        self._override = folder / "cpu.yml"
        self._secrets = folder / "secrets"
        self._socket = folder / "podman.sock"
        files = [f"--env-file={self._env}", f"-f={COMPOSE}", f"-f={self._override}"]
        self._command = ["docker-compose", "-p", NAME, *files]
        self._write_env(variables)
        self._override.write_text(build_override(self.services, mail_certificate))

    def compose(self, *arguments: str) -> str:
        """Return what docker-compose printed. Raises Miss."""
        os.environ["DOCKER_HOST"] = f"unix://{self._socket}"
        return run([*self._command, *arguments])

    def deploy(self, script: str, *arguments: str) -> str:
        """Return what a script of deploy/ printed. Raises Miss."""
        os.environ["COMPOSE"] = shlex.join(self._command)
        return run([str(ROOT / "deploy" / script), *arguments])

    def variables(self) -> dict[str, str]:
        """Return what the trial's `.env` says."""
        return env_file.values_of(self._env.read_text())

    def change(self, variables: Mapping[str, str]) -> None:
        """Change `.env`, and write the secrets' files again, as an operator does with `make secrets`."""
        values = {**self.variables(), **variables}
        self._env.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        env_file.write_files(self._secrets, values)

    def execute(self, service: str, *arguments: str) -> str:
        """Return what a command printed inside a service's container. Raises Miss."""
        return run(["podman", "exec", self.container(service).name, *arguments])

    def containers(self) -> list[Container]:
        """Return the containers of all services."""
        return containers()

    def container(self, service: str) -> Container:
        """Return a service's container. Raises Miss."""
        for container in self.containers():
            if container.service == service:
                return container
        raise Miss(f"{service} has no container.")

    def await_well(self, *, within_s: float) -> float:
        """Return after how many seconds every service was well. Raises Miss, naming those that are not."""
        began_s = time.monotonic()
        while True:
            unwell = [one for one in self.containers() if not one.is_well]
            elapsed_s = time.monotonic() - began_s
            if not unwell:
                return elapsed_s
            if elapsed_s > within_s:
                told = [f"{one.service} ({one.state} {one.health})" for one in unwell]
                raise Miss(f"After {within_s:.0f} s these are not well: {', '.join(told)}.")
            time.sleep(1)

    def crash(self, service: str) -> None:
        """Kill a service's first process as a crash would, and return once podman has started another.

        Raises Miss.
        """
        pid = self.container(service).pid
        os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda: self.container(service).pid not in (pid, 0),
            within_s=RESTART_WITHIN_S,
            what=f"{service} was not started again",
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run podman's service and the health checks, bring everything up; at the end take it down."""
        with serving_podman(self._socket):
            try:
                self.compose("down", "--volumes", "--timeout=5")
                self.compose("up", "--detach", "--no-build", "--pull=never")
                yield
            finally:
                self.compose("down", "--volumes", "--timeout=5")

    def _write_env(self, variables: Mapping[str, str]) -> None:
        """Write what `make secrets` would, filled in with the trial's own values."""
        self._env.unlink(missing_ok=True)
        env_file.write(self._env)
        lines = []
        for line in self._env.read_text().splitlines():
            name = line.lstrip("#").partition("=")[0]
            if name not in variables:
                lines.append(line)
        lines += [f"{name}={value}" for name, value in variables.items()]
        lines.append(f"SECRETS={self._secrets}")
        self._env.write_text("\n".join(lines) + "\n")
        env_file.write_files(self._secrets, self.variables())


def containers() -> list[Container]:
    """Return the containers of the trial's project."""
    ids = run(["podman", "ps", "-aq", f"--filter=label=com.docker.compose.project={NAME}"]).split()
    if not ids:
        return []
    described = json.loads(run(["podman", "inspect", "--type=container", *ids]))
    return [_container(one) for one in described]


@contextmanager
def serving_podman(socket: Path) -> Iterator[None]:
    """Run podman's service at a socket, and the health checks of the trial's containers."""
    socket.unlink(missing_ok=True)
    service = subprocess.Popen(
        ["podman", "--runtime=runc", "system", "service", "--time=0", f"unix://{socket}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stopping = threading.Event()
    try:
        wait_until(socket.exists, within_s=SOCKET_WITHIN_S, what="podman's service did not start")
        threading.Thread(target=_run_health_checks, args=(stopping,), daemon=True).start()
        yield
    finally:
        stopping.set()
        service.terminate()
        service.wait()


def build_override(services: Mapping[str, Any], mail_certificate: Path) -> str:
    """Return what differs here: no GPU, no image of vLLM but this checkout's environment, a mail server."""
    venv = Path(ROOT / ".venv-engine").resolve()
    python = Path((venv / "bin" / "python").resolve()).parent.parent
    lines = ["services:"]
    for name, service in services.items():
        if name in ("vllm", "base-model"):
            lines += [
                f"  {name}:",
                f'    volumes: ["{venv}:{venv}:ro", "{python}:{python}:ro"]',
                "    environment:",
                f"      PATH: {venv}/bin:/usr/local/bin:/usr/bin:/bin",
            ]
            if name == "vllm":
                lines += [
                    "      ENGINE_DEVICE: cpu",
                    "      ENGINE_DTYPE: float32",
                    "    deploy: !reset null",
                ]
        elif "ENGINE_DEVICE" in service.get("environment", {}):
            lines += [
                f"  {name}:",
                "    environment: {ENGINE_DEVICE: cpu, SSL_CERT_FILE: /mail.crt}",
                f'    volumes: ["{mail_certificate}:/mail.crt:ro"]',
                f'    extra_hosts: ["{mail.HOST}:{HOST_ADDRESS}"]',
            ]
    return "\n".join(lines) + "\n"


def _container(described: Mapping[str, Any]) -> Container:
    state = described["State"]
    health = state.get("Health") or {}
    has_check = bool(described["Config"].get("Healthcheck"))
    return Container(
        name=described["Name"],
        service=described["Config"]["Labels"]["com.docker.compose.service"],
        state=state["Status"],
        health=health.get("Status", "") if has_check else "",
        exit_code=state["ExitCode"],
        pid=state["Pid"],
        created_s=datetime.fromisoformat(described["Created"]).timestamp(),
    )


def _run_health_checks(stopping: threading.Event) -> None:
    """Run the checks of containers: podman leaves that to systemd, which may not be here.

    One that is healthy is checked less often: a worker's check takes seconds of a processor.
    """
    ours = f"--filter=label=com.docker.compose.project={NAME}"
    command = ["podman", "ps", "--format={{.ID}} {{.Status}}", ours]
    for number in count():
        if stopping.wait(CHECK_EVERY_S):
            return
        for line in subprocess.run(command, capture_output=True, text=True).stdout.splitlines():
            container, _, status = line.partition(" ")
            if "(healthy)" not in status or number % HEALTHY_EVERY == 0:
                subprocess.run(["podman", "healthcheck", "run", container], capture_output=True)
