"""docker-compose.yml, as far as it can be run without a registry: its commands, on the stack's binaries."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from fnmatch import fnmatch
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import ClassVar

import httpx2
import pytest
import redis
import yaml
from django.conf import settings

from config.env import VARIABLES
from stack import env_file, valkey
from stack.folders import ROOT
from stack.ports import Ports
from tests.asgi_apps import LIFESPAN
from tests.documents import blocks
from tests.stack.servers import Handler, serving
from tests.waiting import eventually, retry

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
LASTING = [name for name, service in SERVICES.items() if service.get("restart") == "unless-stopped"]
needs_caddy = pytest.mark.skipif(not shutil.which("caddy"), reason="caddy is not installed")
# An application that writes the end of a stream once a file is there.
SLOW_STREAM = """
import asyncio, os
from pathlib import Path

async def application(scope, receive, send):
    LIFESPAN
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"first ", "more_body": True})
    while not Path(os.environ["END"]).exists():
        await asyncio.sleep(0.01)
    await send({"type": "http.response.body", "body": b"last"})
""".replace("    LIFESPAN\n", LIFESPAN)


@pytest.fixture
def port() -> Iterator[int]:
    ports = Ports()
    yield ports.take("compose")
    ports.release()


@contextmanager
def started(command: list[str], *, log: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=env, cwd=log.parent, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def seconds(duration: str) -> int:
    return int(re.fullmatch(r"(\d+)s", duration)[1])


def test_nothing_that_serves_pages_waits_for_the_base_model():
    waiting = {name for name in LASTING if "base-model" in SERVICES[name].get("depends_on", {})}

    assert waiting == {"engine-worker", "vllm"}
    assert not any(SERVICES[name]["depends_on"]["base-model"]["required"] for name in waiting)


@pytest.mark.parametrize("file", ["Dockerfile", "deploy/training.Dockerfile"])
def test_an_image_has_every_app_and_nothing_that_the_build_does_not_get(file):
    copied: set[str] = set()
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / file).read_text(), re.MULTILINE):
        copied |= set(sources.split())
    let_in = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().split("\n")}
    apps = {app.split(".")[0] for app in settings.INSTALLED_APPS if (ROOT / app.split(".")[0]).is_dir()}
    assert apps >= {"tenants", "training"}
    assert apps <= copied
    assert file != "Dockerfile" or "engine/styles" in copied, "the shipped styles"
    left_out = {one for one in copied if not any(fnmatch(one, f"{entry}*") for entry in let_in if entry)}
    assert left_out == set()


def test_what_a_container_reads_of_the_checkout_is_there():
    """Docker would make an empty folder of what is not."""
    mounted = [volume for one in SERVICES.values() for volume in one.get("volumes", [])]
    sources = {volume.split(":")[0] for volume in mounted if volume.startswith("./")}
    assert len(sources) > 3
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_the_image_that_trains_has_what_its_programs_import():
    copied = set(re.findall(r" engine/(\w+)", (ROOT / "deploy/training.Dockerfile").read_text()))
    ours = {path.stem for path in (ROOT / "engine").iterdir()}
    files = [file for name in copied for file in ROOT.glob(f"engine/{name}.py")]
    files += [file for name in copied for file in ROOT.glob(f"engine/{name}/*.py")]
    imported: set[str] = set()
    for file in files:
        imported |= set(re.findall(r"^(?:from|import) (\w+)", file.read_text(), re.MULTILINE))
    assert {"train", "evidence", "trainer", "scoring", "controls"} <= copied
    assert imported & ours <= copied


def test_what_trains_reaches_databases_storage_and_the_engine_and_nothing_outside():
    worker = SERVICES["worker-training"]
    assert worker["profiles"] == ["training"]
    assert worker["networks"] == ["data", "engine", "training"], "evaluations ask the engine"
    assert all(COMPOSE["networks"][name]["internal"] for name in worker["networks"])
    reached = {name for name, one in SERVICES.items() if "training" in one.get("networks", [])}
    assert reached == {"seaweedfs", "worker-training"}
    assert "ports" not in worker
    image = worker["build"]["args"]["VLLM_IMAGE"]
    assert image == SERVICES["vllm"]["image"]
    assert f"ARG VLLM_IMAGE={image}\n" in (ROOT / worker["build"]["dockerfile"]).read_text()
    [device] = worker["deploy"]["resources"]["reservations"]["devices"]
    assert device["device_ids"] == ["${TRAINING_GPU:-1}"], "never the engine's card by surprise"


class OverrideLoader(yaml.SafeLoader):
    """Reads compose's own tag: `!reset null` takes away what the first file says."""


OverrideLoader.add_constructor("!reset", lambda loader, node: None)


def test_the_overrides_in_the_guide_change_what_is_there():
    found = blocks("docs/running.md", language="yaml")
    assert len(found) == 2
    for block in found:
        override = yaml.load(block.text, OverrideLoader)
        assert override.keys() == {"services"}
        for name, changed in override["services"].items():
            assert changed.keys() <= SERVICES[name].keys(), name


def test_every_service_bounds_its_logs_and_has_time_to_end():
    for name, service in SERVICES.items():
        assert "max-size" in service.get("logging", {}).get("options", {}), name
    # vLLM has no state: requests go to another engine or fail over.
    for name in set(LASTING) - {"vllm"}:
        assert seconds(SERVICES[name].get("stop_grace_period", "0s")) >= 30, name


def test_every_service_is_bounded_and_has_no_right_that_it_does_not_need():
    for name, service in SERVICES.items():
        assert service.keys() >= {"mem_limit", "pids_limit"}, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service
    stores = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
    allowed = {name: set(one.get("cap_add", [])) for name, one in SERVICES.items() if one.get("cap_add")}
    assert allowed == {
        "postgres": stores,
        "valkey": stores,
        "seaweedfs": stores,
        "storage-keys": {"CHOWN", "DAC_OVERRIDE", "FOWNER"},
        "base-model": {"CHOWN", "DAC_OVERRIDE", "FOWNER"},
        "caddy": {"NET_BIND_SERVICE"},
    }


def test_the_site_writes_nowhere_but_in_tmp_and_in_the_adapters_volume():
    site = {
        name: one for name, one in SERVICES.items() if "DJANGO_SECRET_KEY_FILE" in one.get("environment", {})
    }
    assert set(site) >= {"web", "gateway", "housekeeping", "uploads", "engine-worker", "beat", "exporter"}
    for name, service in site.items():
        assert service["read_only"], name
        assert service["tmpfs"] == ["/tmp"], name
        writable = [volume for volume in service["volumes"] if not volume.endswith(":ro")]
        assert writable == (["adapters:/srv/adapters"] if name == "engine-worker" else []), name


def test_the_processes_that_serve_the_api_share_the_engine_as_they_say():
    shares = []
    for name in ("web", "web-2", "gateway"):
        processes = re.search(r"--workers=\$\{\w+:-(\d+)\}", " ".join(SERVICES[name]["command"]))[1]
        parts = re.fullmatch(r"\$\{\w+:-(\d+)\}", SERVICES[name]["environment"]["WEB_WORKERS"])[1]
        shares.append(Fraction(int(processes), int(parts)))

    assert sum(shares) == 1


def test_every_secret_that_a_service_reads_is_a_file_that_make_secrets_writes():
    assert set(COMPOSE["secrets"]) == set(env_file.FILES)
    for name, service in SERVICES.items():
        environment = service.get("environment", {})
        read = {
            value.removeprefix("/run/secrets/") for key, value in environment.items() if key.endswith("_FILE")
        }
        assert read <= set(service.get("secrets", [])), name


OWN_DEFAULTS = {"TRUSTED_PROXIES", "LOG_FORMAT", "TRAINING", "TRAINING_DEVICE"}
OF_DEMOS = {"DJANGO_DEBUG", "MAILBOX", "OPERATOR_MFA", "STRIPE_API_BASE", "WEBHOOKS_TO_LOOPBACK"}
OF_CLUSTERS = {"ENGINE_KIND", "ENGINE_REPLICAS"}
OTHER_FOR_EACH_SERVICE = {"DATABASE_LOCK_TIMEOUT_S", "DATABASE_STATEMENT_TIMEOUT_S"}
NOT_IN_COMPOSE = OF_DEMOS | OF_CLUSTERS | OTHER_FOR_EACH_SERVICE


def test_every_setting_reaches_those_who_read_it():
    for name, service in SERVICES.items():
        given = {variable.removesuffix("_FILE") for variable in service.get("environment", {})}
        if "DJANGO_SECRET_KEY" not in given and name != "vllm":
            continue
        of_all = {"vllm"} if name == "vllm" else {"site", "vllm"}
        readers = {*of_all, name.removesuffix("-2")}
        read = {variable for variable, row in VARIABLES.items() if readers & set(row.read_by.split(", "))}
        assert given & VARIABLES.keys() == read - NOT_IN_COMPOSE, name


def test_every_secret_that_must_be_strong_comes_as_a_file():
    secret = {name for name, row in VARIABLES.items() if row.secret == "strong"}
    assert {f"{name}_FILE" for name in secret} <= SERVICES["web"]["environment"].keys()


def test_every_setting_has_its_default_and_stands_in_the_example():
    given = SERVICES["web"]["environment"]
    example = (ROOT / ".env.example").read_text()
    chosen = {name: text for name, text in given.items() if str(text).startswith(f"${{{name}:-")}
    for name, text in chosen.items():
        assert f"{name}=" in example, name
        default = text.removeprefix(f"${{{name}:-").removesuffix("}")
        assert default == VARIABLES[name].default or name in OWN_DEFAULTS, name
    assert "API_ALLOWED_ORIGINS" in chosen


def test_caddy_is_trusted_and_reaches_what_it_serves():
    caddy = SERVICES["caddy"]
    address = re.search(r":-([\d.]+)", caddy["networks"]["outside"]["ipv4_address"])[1]
    served = re.findall(r"(\S+):(\d+)", (ROOT / "deploy" / "Caddyfile").read_text().replace("{", " "))

    assert address in SERVICES["web"]["environment"]["TRUSTED_PROXIES"]
    assert {name for name, _ in served} == {"gateway", "web", "web-2", "seaweedfs"}
    for name, _ in served:
        shared = set(SERVICES[name]["networks"]) & set(caddy["networks"])
        # By another network than `outside` it would come from another address, and no client had its own.
        assert shared == ({"files"} if name == "seaweedfs" else {"outside"}), name


def test_an_upgrade_replaces_everything_of_ours_and_drains_what_the_proxy_serves():
    upgrade = (ROOT / "deploy" / "upgrade.sh").read_text()
    replaced = re.search(r"^deploy/replace\.sh (.+)$", upgrade, re.MULTILINE)[1].split()
    # Whoever is named is started, so what stands in a profile is left to the last `up`.
    ours = {name for name in LASTING if SERVICES[name].get("build") and "profiles" not in SERVICES[name]}
    assert set(replaced) == ours
    assert replaced[-3:] == ["web", "web-2", "gateway"]
    replace = (ROOT / "deploy" / "replace.sh").read_text()
    drained = re.search(r"^    (web .+)\) served", replace, re.MULTILINE)[1]
    assert drained.split(" | ") == replaced[-3:]
    assert {SERVICES[name]["environment"]["DRAINING_PATH"] for name in replaced} == {"/tmp/draining"}


class Site(Handler):
    """A site that says by which port it was asked, and may be told to drain."""

    draining: ClassVar[set[int]] = set()
    checked_as: ClassVar[set[str]] = set()

    def do_GET(self):
        port = self.server.server_port
        if self.path == "/healthz":
            self.checked_as.add(self.headers["Host"])
        self.answer(503 if self.path == "/healthz" and port in self.draining else 200, str(port).encode())


@needs_caddy
@pytest.mark.parametrize("reason", ["it drains", "it is gone"])
def test_caddy_sends_what_is_new_to_the_second_site_when_the_first_one_goes(tmp_path, port, reason):
    with serving(Site) as first, serving(Site) as second:
        text = (ROOT / "deploy" / "Caddyfile").read_text().replace("{\n", "{\n    admin off\n", 1)
        text = text.replace("web:8000", f"127.0.0.1:{first.server_port}")
        text = text.replace("web-2:8000", f"127.0.0.1:{second.server_port}")
        (tmp_path / "Caddyfile").write_text(text)
        site = f"http://127.0.0.1:{port}"
        env = {**os.environ, "SITE_HOST": site, "FILES_HOST": f"http://files.invalid:{port}"}
        command = ["caddy", "run", "--adapter=caddyfile", f"--config={tmp_path / 'Caddyfile'}"]
        with (
            started(command, log=tmp_path / "log", env=env | {"HOME": str(tmp_path)}),
            httpx2.Client(base_url=site, timeout=30) as client,
        ):
            _connected(port).close()
            assert client.get("/").text == str(first.server_port)
            if reason == "it drains":
                Site.draining.add(first.server_port)
                eventually(lambda: client.get("/").text == str(second.server_port))
            else:
                first.shutdown()
                first.server_close()
            answered = {client.get("/").text for _ in range(20)}
            eventually(lambda: Site.checked_as)
    assert answered == {str(second.server_port)}
    assert Site.checked_as == {"127.0.0.1"}


def test_prometheus_reaches_its_targets_and_nobody_from_outside_reaches_them():
    config = yaml.safe_load((ROOT / "deploy" / "observability" / "prometheus.yml").read_text())
    targets = []
    for job in config["scrape_configs"]:
        for one in job["static_configs"]:
            targets += one["targets"]

    assert targets == ["exporter:9464", "vllm:8001"]
    for target in targets:
        service = SERVICES[target.split(":")[0]]
        assert set(service["networks"]) & set(SERVICES["prometheus"]["networks"])
        assert "ports" not in service
    assert COMPOSE["networks"]["watch"] == {"internal": True}
    assert " ".join(SERVICES["exporter"]["command"].split()[-4:]) == "--host 0.0.0.0 --port 9464"


def test_only_what_needs_it_has_a_way_outside():
    """A container on any network that is not internal can reach the Internet."""
    open_networks = {name for name, one in COMPOSE["networks"].items() if not (one or {}).get("internal")}
    assert open_networks == {"outside", "files", "grafana"}
    reaching = {name for name, one in SERVICES.items() if open_networks & set(one.get("networks", []))}
    assert reaching == {
        *("web", "web-2", "webhooks"),  # mail, payments, webhooks
        "gateway",  # its port is published; traces
        *("base-model", "caddy", "seaweedfs", "grafana"),  # a download, certificates, published ports
    }
    assert COMPOSE["networks"]["storage"]["internal"] == "${STORAGE_INTERNAL:-true}"


def test_only_what_shows_receipts_has_the_keys_that_sign_them():
    holding = {name for name, one in SERVICES.items() if "receipt_keys" in one.get("secrets", [])}
    assert holding == {"web", "web-2", "gateway"}
    assert set(SERVICES["web"]["secrets"]) - {"receipt_keys"} == set(SERVICES["reading"]["secrets"])


def test_storage_is_apart_from_the_databases_and_gets_its_certificates_first():
    storage = SERVICES["seaweedfs"]

    assert storage["networks"] == ["storage", "files", "training"]
    assert {name for name in SERVICES if "files" in SERVICES[name].get("networks", [])} == {
        "seaweedfs",
        "caddy",
    }
    assert "-s3.config=/run/secrets/s3_identities" in storage["command"], "its log would show the key's id"
    assert not [name for name in storage["environment"] if name.startswith("AWS_")]
    assert storage["depends_on"] == {"storage-keys": {"condition": "service_completed_successfully"}}
    assert f"{storage['environment']['HOME']}/.seaweedfs" in SERVICES["storage-keys"]["command"][2]
    assert [name for name in ("postgres", "valkey") if SERVICES[name]["networks"] != ["data"]] == []


@pytest.mark.parametrize(
    ("service", "drains"), [("web", "--timeout-graceful-shutdown"), ("gateway", "--graceful-stop-s")]
)
def test_a_stream_that_runs_when_its_server_is_stopped_is_written_to_its_end(service, drains, tmp_path, port):
    (tmp_path / "slow.py").write_text(SLOW_STREAM)
    others = ("--host", "--port", "--workers")
    command = [word for word in SERVICES[service]["command"] if not word.startswith(others)]
    command = [re.sub(r"^config\.\w+:application$", "slow:application", word) for word in command]
    python = [sys.executable] if command[0] == "python" else [sys.executable, "-m", command[0]]
    command = [*python, *command[1:], "--workers=2", f"--port={port}"]
    end = tmp_path / "end"
    env = {**os.environ, "END": str(end), "PYTHONPATH": f"{tmp_path}:{ROOT / 'platform'}"}
    with started(command, log=tmp_path / "log", env=env) as server, closing(_connected(port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received = b""
        while b"first" not in received:
            received += client.recv(4096)
        server.send_signal(signal.SIGTERM)
        log = tmp_path / "log"  # uvicorn's parent keeps the port until its last worker has ended
        uvicorns_line = "Waiting for connections to close"
        eventually(lambda: uvicorns_line in log.read_text() or _is_refused(port))
        end.touch()
        while more := client.recv(4096):
            received += more
        assert server.wait(timeout=60) in {0, -signal.SIGTERM}

    assert b"last" in received
    drain_s = int(re.search(rf"{drains}=(\d+)", " ".join(command))[1])
    assert drain_s < seconds(SERVICES[service]["stop_grace_period"])


def _is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def _connected(port: int) -> socket.socket:
    connect = partial(socket.create_connection, ("127.0.0.1", port), timeout=30)
    return retry(connect, ConnectionRefusedError, within_s=60)


def test_valkey_starts_through_the_images_entrypoint_and_shows_its_password_nowhere(tmp_path, port):
    entrypoint = tmp_path / "docker-entrypoint.sh"  # the image's gives up root, then does the same
    entrypoint.write_text('#!/bin/sh\necho "entered with $1"\nexec "$@"\n')
    entrypoint.chmod(0o755)
    (tmp_path / "valkey-server").symlink_to(valkey.binary())
    service = SERVICES["valkey"]
    command = [*service["entrypoint"], *service["command"]]
    (tmp_path / "valkey_password").write_text("of-this-test")
    command[-1] = (
        command[-1]
        .replace("$$", "$")
        .replace("valkey-server -", f"valkey-server - --port {port}", 1)
        .replace("/run/secrets", str(tmp_path))
    )
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with (
        started(command, log=tmp_path / "log", env=env) as server,
        closing(redis.Redis(port=port, password="of-this-test", decode_responses=True)) as client,
    ):
        assert retry(client.ping, redis.ConnectionError)
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        with closing(redis.Redis(port=port)) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert "of-this-test" not in Path(f"/proc/{server.pid}/cmdline").read_text()
    assert (tmp_path / "log").read_text().startswith("entered with valkey-server")
