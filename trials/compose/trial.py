"""The walk: services well, networks closed, a style uploaded and asked through TLS, crashes, an upgrade."""

import json
import os
import shutil
import threading
import time
from collections.abc import Mapping
from itertools import permutations
from typing import Any

import httpx2
import openai

from stack import smoke
from stack.api import Api, Upload, await_serving, upload_style, wait_until
from stack.errors import Miss, MissingPrerequisite
from stack.folders import ROOT
from stack.pages import signed_in
from stack.ports import Ports
from stack.steps import Steps
from trials.compose import images, proxy
from trials.compose.project import COMPOSE, Project

FOLDER = ROOT / "var" / "compose"
MODEL = "SmolLM2-135M-Instruct"
VERSION = "trial"
PROGRAMS = ("podman", "runc", "debootstrap", "docker-compose")
WELL_WITHIN_S = 420.0
BACK_WITHIN_S = 300.0
TASKS = ("migrate", "base-model", "storage-keys")
PORTS = {"postgres": 5432, "valkey": 6379, "seaweedfs": 8333, "vllm": 8001, "web": 8000, "gateway": 8000}
CONNECT = "import socket; socket.create_connection(('{host}', {port}), timeout=3)"
PROBE_EVERY_S = 0.1
MOST_UPGRADE_OUTAGE_S = 30.0


def compose() -> int:
    """Bring the compose file up and walk through it; return 0. Raises StackError."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing or os.geteuid() != 0:
        raise MissingPrerequisite(f"This needs root and {', '.join(PROGRAMS)}; missing: {missing or 'root'}.")
    os.environ["PODMAN_IGNORE_CGROUPSV1_WARNING"] = "1"
    FOLDER.mkdir(parents=True, exist_ok=True)
    steps = Steps()
    with steps.step("stand-in base images"):
        images.build_all(COMPOSE)
    with steps.step("the Dockerfile, unchanged"):
        images.build_image(f"localhost/polyscribe:{VERSION}", ROOT, "Dockerfile")
    ports = Ports()
    try:
        site, files = ports.take("site"), ports.take("files")
        upstreams = {name: ports.take(name) for name in ("web:8000", "gateway:8000", "seaweedfs:8333")}
    finally:
        ports.release()
    project = Project(FOLDER, _variables(site, files, upstreams))
    with (
        project.running(),
        proxy.serving(FOLDER, site_port=site, files_port=files, upstreams=upstreams) as authority,
    ):
        os.environ["SSL_CERT_FILE"] = str(authority)
        found = _walk(project, steps, f"https://localhost:{site}")
    print(f"COMPOSE OK {' '.join(f'{name}={value}' for name, value in found.items())}", flush=True)
    return 0


def _walk(project: Project, steps: Steps, site: str) -> Mapping[str, Any]:
    with steps.step("every service is well"):
        project.await_well(within_s=WELL_WITHIN_S)
    with steps.step("nobody reaches what it has no network to"):
        reached = check_networks(project)
    with steps.step("manage.py seed"):
        seeded = seed(project)
    with steps.step("login through the TLS proxy"):
        signed_in(site, login=seeded["login"], password=seeded["password"])
    api = Api(site, seeded["api_key"])
    with steps.step("upload through the TLS proxy, until it serves"):
        upload = upload_style(api, smoke.STYLE, sample_prompt=smoke.QUESTION)
        await_serving(api, upload, within_s=BACK_WITHIN_S)
    client = openai.OpenAI(base_url=f"{site}/v1", api_key=seeded["api_key"], max_retries=0, timeout=120)
    with steps.step("chat and usage"):
        smoke.ask(client, upload.model)
        smoke.await_usage(api, {upload.model: 2})
    crashed = crash_each(project, steps, client, upload)
    with steps.step("the site is replaced while it is asked"):
        outage_s = replace_site(project, site)
    return {"services": len(project.services), "paths": reached, "crashed": crashed, "outage_s": outage_s}


def check_networks(project: Project) -> int:
    """Try every way from one service to another; return how many are open. Raises Miss for a wrong one."""
    networks = {}
    for name, service in project.services.items():
        if _is_served(name, service):
            networks[name] = set(service.get("networks", []))
    open_ways = 0
    wrong = []
    for origin, target in permutations(networks, 2):
        if target not in PORTS:
            continue
        is_wanted = bool(networks[origin] & networks[target])
        is_open = _reaches(project, origin, target, PORTS[target])
        open_ways += is_open
        if is_open != is_wanted:
            wrong.append(f"{origin} {'reaches' if is_open else 'does not reach'} {target}")
    if wrong:
        raise Miss("; ".join(wrong))
    return open_ways


def seed(project: Project) -> dict[str, str]:
    """Return the login and key of a workspace that `manage.py seed` makes inside the site's image."""
    # It uploads as a browser does, and a browser's address of the storage is the host's own here.
    inside = ("SITE_URL=http://127.0.0.1:8000", "S3_PUBLIC_ENDPOINT_URL=http://seaweedfs:8333")
    project.execute("web", "env", *inside, "python", "manage.py", "seed", "--secrets", "/tmp/seeded.json")
    made: dict[str, str] = json.loads(project.execute("web", "cat", "/tmp/seeded.json"))
    return made


def crash_each(project: Project, steps: Steps, client: openai.OpenAI, upload: Upload) -> int:
    """Kill each service in turn; it must come back by itself and the style must answer. Return how many."""
    services = [name for name, service in project.services.items() if _is_served(name, service)]
    for service in services:
        with steps.step(f"{service} crashes and is back"):
            project.crash(service)
            project.await_well(within_s=BACK_WITHIN_S)
            wait_until(lambda: _answers(client, upload.model), within_s=BACK_WITHIN_S, what="no answer came")
    return len(services)


def replace_site(project: Project, site: str) -> float:
    """Start the web service anew as an upgrade does; return for how long no page was answered."""
    stopping = threading.Event()
    misses_s: list[float] = []
    probe = threading.Thread(target=_note_misses, args=(site, stopping, misses_s))
    probe.start()
    try:
        project.compose("up", "--detach", "--no-build", "--no-deps", "--force-recreate", "web")
        project.await_well(within_s=BACK_WITHIN_S)
    finally:
        stopping.set()
        probe.join()
    outage_s = round(misses_s[-1] - misses_s[0], 1) if misses_s else 0.0
    if outage_s > MOST_UPGRADE_OUTAGE_S:
        raise Miss(f"For {outage_s} s no page was answered.")
    return outage_s


def _note_misses(site: str, stopping: threading.Event, misses_s: list[float]) -> None:
    with httpx2.Client(base_url=site, timeout=2) as client:
        while not stopping.wait(PROBE_EVERY_S):
            try:
                is_answered = client.get("/healthz").status_code == 200
            except httpx2.TransportError:
                is_answered = False
            if not is_answered:
                misses_s.append(time.monotonic())


def _is_served(name: str, service: Mapping[str, Any]) -> bool:
    """Return whether a service runs all the time, without a profile being asked for."""
    return name not in TASKS and "profiles" not in service


def _reaches(project: Project, origin: str, target: str, port: int) -> bool:
    container = project.container(origin).name
    program = CONNECT.format(host=target, port=port)
    return images.succeeds(["podman", "exec", container, "python3", "-c", program])


def _answers(client: openai.OpenAI, model: str) -> bool:
    messages: list[openai.types.chat.ChatCompletionUserMessageParam] = [
        {"role": "user", "content": smoke.QUESTION}
    ]
    try:
        answer = client.chat.completions.create(model=model, messages=messages, max_tokens=4)
    except openai.OpenAIError:
        return False
    return bool(answer.choices)


def _variables(site: int, files: int, upstreams: Mapping[str, int]) -> dict[str, str]:
    return {
        "SITE_HOST": "localhost",
        "SITE_URL": f"https://localhost:{site}",
        "S3_PUBLIC_ENDPOINT_URL": f"https://localhost:{files}",
        "BASE_MODEL": MODEL,
        "MODELS": str((ROOT / "var" / "models").resolve()),
        "EMAIL_URL": "smtp://nobody:nothing@mail.invalid:587",
        "POLYSCRIBE_VERSION": VERSION,
        "WEB_PORT": str(upstreams["web:8000"]),
        "GATEWAY_PORT": str(upstreams["gateway:8000"]),
        "S3_PORT": str(upstreams["seaweedfs:8333"]),
        "ENGINE_MAX_LORAS": "4",
        "ENGINE_MAX_CPU_LORAS": "8",
        "ENGINE_MAX_NUM_SEQS": "16",
    }
