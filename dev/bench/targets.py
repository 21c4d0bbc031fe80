"""What is measured: the stub itself, and each gateway in front of it, with how it is started."""

import secrets
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from urllib.parse import urlsplit

from labs.machine import Cores, pinned
from labs.site import run_in_site
from labs.stub_engine import MODELS
from stack import application, services
from stack.bootstrap import find_uv
from stack.folders import ROOT, temporary
from stack.ports import Ports
from stack.processes import Program
from stack.services import Stack
from stack.steps import Steps

PEERS = ROOT / ".venv-peers"  # an environment for each, made by `make bench NAME=peers`
LITELLM = PEERS / "litellm" / "bin" / "litellm"
TENSORZERO = PEERS / "tensorzero" / "bin" / "python"
FILES = ROOT / "dev" / "bench" / "peers"
READY_WITHIN_S = 120.0
HINTS = {
    "nginx": "nginx is not on PATH: install it (Debian and Ubuntu: nginx-light), or go without its row.",
    "litellm": "LiteLLM is not installed: `make bench NAME=peers` does it; or go without its row.",
    "tensorzero": "TensorZero is not installed: `make bench NAME=peers` does it; or go without its row.",
}


@dataclass(frozen=True)
class Target:
    """One gateway: its address, path and key, its process, its names of models."""

    name: str
    url: str
    key: str = "none"
    pid: int | None = None
    prefix: str = ""
    path: str = "/v1/chat/completions"

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

    def start(self, name: str, key: str, *, workers: int = 1) -> Target:
        """Start a gateway with so many workers, each with a core. `key` is of Polyscribe's tenant."""
        match name:
            case "direct":
                return self.direct()
            case "nginx":
                return self.nginx(workers=workers)
            case "litellm":
                return self.litellm(workers=workers)
            case "tensorzero":
                return self.tensorzero(workers=workers)
            case _:
                return self.polyscribe(key, workers=workers)

    def nginx(self, *, workers: int = 1) -> Target:
        """The floor: a proxy in C that checks and counts nothing."""
        name = f"nginx-{workers}"
        port = self.ports.take(name)
        folder = self.stack.folders.var / name
        folder.mkdir()
        text = (FILES / "nginx.conf").read_text()
        text = text.replace("WORKERS", str(workers)).replace("STUB_PORT", str(self.stub_port))
        conf = folder / "nginx.conf"
        conf.write_text(text.replace("OWN_PORT", str(port)))
        argv = [which("nginx"), "-p", str(folder), "-c", str(conf)]
        program = Program(name=name, title="nginx", argv=argv, env={}, layer=2)
        pid = self._started(program, port, "/health", workers=workers)
        return Target("nginx", f"http://127.0.0.1:{port}", pid=pid)

    def litellm(self, *, workers: int = 1) -> Target:
        """LiteLLM's proxy."""
        name = f"litellm-{workers}"
        port = self.ports.take(name)
        key = "sk-" + secrets.token_hex(16)
        valkey = self.stack.variables["CELERY_BROKER_URL"].removesuffix("/1")
        variables = litellm_variables(f"http://127.0.0.1:{self.stub_port}/v1", f"{valkey}/9", key)
        argv = [
            str(LITELLM),
            "--config",
            str(FILES / "litellm.yaml"),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        argv += ["--num_workers", str(workers), "--telemetry", "False"]
        program = Program(name=name, title="LiteLLM", argv=argv, env=variables, layer=2)
        pid = self._started(program, port, "/health/liveliness", workers=workers)
        return Target("litellm", f"http://127.0.0.1:{port}", key, pid)

    def tensorzero(self, *, workers: int = 1) -> Target:
        """TensorZero's gateway in Rust, as its Python package starts it; threads on so many cores."""
        name = f"tensorzero-{workers}"
        folder = self.stack.folders.var / name
        folder.mkdir()
        config = folder / "tensorzero.toml"
        config.write_text(tensorzero_config(self.stub_port))
        address = folder / "address"
        argv = [str(TENSORZERO), str(FILES / "tensorzero_gateway.py"), str(config), str(address)]
        program = Program(name=name, title="TensorZero", argv=argv, env={}, layer=2)
        up = self.stack.supervisor
        with pinned(self.cores.gateway(workers)):
            up.start(program)
        up.await_ready(name, address.exists, within_s=READY_WITHIN_S)
        at = urlsplit(address.read_text())
        return Target(
            "tensorzero",
            f"http://{at.netloc}",
            pid=up.pid(name),
            prefix="tensorzero::model_name::",
            path=f"{at.path.rstrip('/')}/chat/completions",
        )

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


@contextmanager
def open_services(steps: Steps) -> Iterator[Stack]:
    """Yield services with the site's schema. They write to the disk as they do for a demo."""
    with temporary() as folders, services.opened(replace(folders, temporary=False), steps) as stack:
        stack.waiting.all(services.start(stack))
        migrate = application.manage("migrate", "--no-input", variables=stack.variables, title="migrate")
        stack.supervisor.once(migrate)
        yield stack


def start_stub(stack: Stack, ports: Ports) -> int:
    """Start the stub engine; return its port once it answers."""
    port = ports.take("stub")
    stack.supervisor.start(stub(port))
    stack.supervisor.await_ready("stub", partial(answers, f"http://127.0.0.1:{port}/health"), within_s=20)
    return port


def create_tenant(stack: Stack, stub_url: str) -> str:
    """Return the key of a new tenant whose styles are on the stub."""
    return str(run_in_site("tenants.create_measured_tenant", stack.variables, stub_url=stub_url))


def missing() -> dict[str, str]:
    """Return the peers that are not here, and what to do about it."""
    there = {
        "nginx": which("nginx"),
        "litellm": LITELLM.exists(),
        "tensorzero": TENSORZERO.exists(),
    }
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
        "PATH": f"{LITELLM.parent}:/usr/bin:/bin",
    }


def tensorzero_config(stub_port: int) -> str:
    """Return TensorZero's configuration: the stub's models, no log of requests, no database."""
    parts = ["[gateway]\nobservability.enabled = false\n"]
    for model in MODELS:
        parts.append(f"""
[models.{model}]
routing = ["stub"]
[models.{model}.providers.stub]
type = "vllm"
model_name = "{model}"
api_base = "http://127.0.0.1:{stub_port}/v1/"
api_key_location = "none"
""")
    return "".join(parts)


def answers(url: str) -> bool:
    """Return whether an address answers with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def versions() -> dict[str, str]:
    """Return the versions of what was measured."""
    found = {"python": sys.version.split()[0], "uvloop": metadata.version("uvloop")}
    if nginx := which("nginx"):
        said = subprocess.run([nginx, "-v"], capture_output=True, text=True).stderr
        found["nginx"] = said.strip().rpartition("/")[2]
    for name in ("litellm", "tensorzero"):
        for folder in (PEERS / name).glob(f"lib/python*/site-packages/{name}-*.dist-info"):
            found[name] = folder.name.removeprefix(f"{name}-").removesuffix(".dist-info")
    return found


def stub(port: int) -> Program:
    """Return the stub engine as a program."""
    argv = [sys.executable, "-m", "labs.stub_engine", str(port)]
    env = {"PYTHONPATH": str(ROOT / "dev")}
    return Program(name="stub", title="stub engine", argv=argv, env=env, layer=1)


def install_peers() -> int:
    """`make bench NAME=peers`: make an environment for each below `.venv-peers`; return uv's exit code."""
    uv = find_uv()
    for name in ("litellm", "tensorzero"):  # they want different versions of the same packages
        folder = PEERS / name
        into = ["--python", str(folder / "bin" / "python")]
        make = [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)]
        requirements = str(FILES / f"requirements-{name}.txt")
        install = [uv, "pip", "install", "--quiet", *into, "--requirement", requirements]
        for command in (make, install):
            if code := subprocess.run(command, cwd=ROOT).returncode:
                print(
                    "✗ The peers were not installed: check the network, then run this again.", file=sys.stderr
                )
                return code
    print(f"The peers are installed in {PEERS.name}.")
    return 0


if __name__ == "__main__":
    sys.exit(install_peers())
