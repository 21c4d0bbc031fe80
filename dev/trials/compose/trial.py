"""The walk: services well, networks closed, a style through TLS, sign-up by mail, then what may happen."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path
from typing import Any

import openai

from stack import smoke
from stack.api import Api, Session, await_serving, fetched, link, post_form, signed_in, upload_style
from stack.errors import Miss, MissingPrerequisite
from stack.folders import ROOT
from stack.ports import Ports
from stack.steps import Steps
from trials.compose import images, mail
from trials.compose.incidents import (
    BACK_WITHIN_S,
    IMAGE,
    VERSION,
    WELL_WITHIN_S,
    await_answer,
    crash_each,
    is_served,
    restore,
    upgrade,
)
from trials.compose.project import COMPOSE, HOST_ADDRESS, Project
from trials.debian import require_root, succeeds
from trials.harness import write_result

# The TLS proxy of deploy/Caddyfile in front of the services: with certificates of Caddy's own authority.
#
# It runs on the host: both of its names are `localhost` here, which one container's ports could not tell
# apart.

CADDYFILE = ROOT / "deploy" / "Caddyfile"
AUTHORITY = Path("caddy/pki/authorities/local/root.crt")
READY_WITHIN_S = 30.0
GLOBAL_OPTIONS = "    skip_install_trust\n    admin off\n    auto_https disable_redirects\n"


@contextmanager
def serving(folder: Path, *, site_port: int, files_port: int, upstreams: Mapping[str, int]) -> Iterator[Path]:
    """Run Caddy with these ports, and each upstream's port on this host; yield its certificate authority.

    Raises MissingPrerequisite, or Miss where Caddy does not start.
    """
    caddy = shutil.which("caddy")
    if not caddy:
        raise MissingPrerequisite("caddy is missing: install it (apt-get install caddy).")
    text = CADDYFILE.read_text()
    text = text.replace("{\n", "{\n" + GLOBAL_OPTIONS, 1)
    for name, port in upstreams.items():
        text = text.replace(name, f"127.0.0.1:{port}")
    configuration = folder / "Caddyfile"
    configuration.write_text(text)
    variables = {
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "SITE_HOST": f"localhost:{site_port}",
        "FILES_HOST": f"localhost:{files_port}",
    }
    with (folder / "caddy.log").open("w") as log:
        command = [caddy, "run", "--adapter=caddyfile", f"--config={configuration}"]
        process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=log, stderr=log)
    try:
        authority = folder / AUTHORITY
        until_s = time.monotonic() + READY_WITHIN_S
        while not authority.exists():
            if process.poll() is not None or time.monotonic() > until_s:
                raise Miss(f"Caddy did not start: see {folder / 'caddy.log'}.")
            time.sleep(0.1)
        yield authority
    finally:
        process.terminate()
        process.wait()


FOLDER = ROOT / "var" / "compose"
MODEL = "SmolLM2-135M-Instruct"
PROGRAMS = ("podman", "runc", "debootstrap", "docker-compose", "openssl")
STORES = {"postgres": 5432, "valkey": 6379, "seaweedfs": 8333}
PORTS = {**STORES, "vllm": 8001, **dict.fromkeys(("web", "web-2", "gateway"), 8000)}
PASSWORD = "correct horse battery staple"
CONNECT = "import socket; socket.create_connection(('{host}', {port}), timeout=3)"


def compose() -> int:
    """Bring the compose file up and walk through it; return 0. Raises StackError."""
    require_root(*PROGRAMS)
    os.environ["PODMAN_IGNORE_CGROUPSV1_WARNING"] = "1"
    FOLDER.mkdir(parents=True, exist_ok=True)
    steps = Steps()
    with steps.step("stand-in base images"):
        images.build_all(COMPOSE)
    with steps.step("the Dockerfile, unchanged"):
        images.build_image(IMAGE, ROOT, "Dockerfile")
    ports = Ports()
    try:
        site, files, mail_port = ports.take("site"), ports.take("files"), ports.take("mail")
        names = ("web:8000", "web-2:8000", "gateway:8000", "seaweedfs:8333")
        upstreams = {name: ports.take(name) for name in names}
    finally:
        ports.release()
    certificate, key = mail.make_certificate(FOLDER)
    variables = _variables(site, files, mail_port, upstreams)
    project = Project(FOLDER, variables, mail_certificate=certificate)
    with (
        project.running(),
        mail.receiving(HOST_ADDRESS, mail_port, certificate, key) as mailbox,
        serving(FOLDER, site_port=site, files_port=files, upstreams=upstreams) as authority,
    ):
        os.environ["SSL_CERT_FILE"] = str(authority)
        found = _walk(project, steps, f"https://localhost:{site}", mailbox)
        _keep(found, is_whole=True)
    print(f"COMPOSE OK services={len(project.services)} seconds={steps.elapsed_s:.0f}", flush=True)
    return 0


def _walk(project: Project, steps: Steps, site: str, mailbox: mail.Mailbox) -> Mapping[str, Any]:
    with steps.step("every service is well"):
        well_s = project.await_well(within_s=WELL_WITHIN_S)
    with steps.step("manage.py seed"):
        seeded = seed(project)
    with steps.step("login through the TLS proxy"):
        signed_in(site, login=seeded["login"], password=seeded["password"])
    api = Api(site, seeded["api_key"])
    with steps.step("upload through the TLS proxy, until it serves"):
        upload = upload_style(api, smoke.STYLE, sample_prompt=smoke.QUESTION)
        await_serving(api, upload, within_s=BACK_WITHIN_S)
    client = _client(site, seeded["api_key"])
    with steps.step("chat and usage"):
        smoke.ask(client, upload.model)
        smoke.await_usage(api, {upload.model: 2})
    with steps.step("sign-up by a mailed link, and a first answer"):
        new_client = _client(site, sign_up(site, mailbox))
        await_answer(new_client, "base")
    found: dict[str, Any] = {"services": len(project.services), "well_after_s": round(well_s, 1)}
    with steps.step("an upgrade, under load"):
        found["upgrade"] = upgrade(project, site, client, upload)
    steps.say(f"    {found['upgrade']}")
    _keep(found)
    found["crashes"] = crash_each(project, steps, site, client, upload)
    _keep(found)
    with steps.step("everything is lost and restored from a backup"):
        found["restore"] = restore(project, client, upload)
    steps.say(f"    {found['restore']}")
    _keep(found)
    with steps.step("nobody reaches what it has no network to"):
        found["open_ways"] = check_networks(project)
    return found


def _keep(found: Mapping[str, Any], *, is_whole: bool = False) -> None:
    """Write what was found until now."""
    write_result("compose", {"is_whole": is_whole, **found})


def check_networks(project: Project) -> int:
    """Try every way from one service to another; return how many are open. Raises Miss for a wrong one."""
    networks = {}
    for name, service in project.services.items():
        if is_served(name, service):
            networks[name] = set(service.get("networks", []))
    open_ways = 0
    wrong = []
    for origin, target in permutations(networks, 2):
        if target not in PORTS:
            continue
        is_wanted = bool(networks[origin] & networks[target])
        program = CONNECT.format(host=target, port=PORTS[target])
        is_open = succeeds(["podman", "exec", project.container(origin).name, "python3", "-c", program])
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


def sign_up(site: str, mailbox: mail.Mailbox) -> str:
    """Make an account as a person does, with the link that is mailed, and a workspace; return its API key.

    Raises Miss.
    """
    address = "newcomer@example.org"
    with Session(base_url=site, follow_redirects=True, timeout=30) as session:

        def send(path: str, page: str, **form: str) -> str:
            answer = post_form(session, path, page, **form)
            if answer.status_code != 200:
                raise Miss(f"{path} answered {answer.status_code}: {answer.text[:300]}")
            return answer.text

        send("/accounts/signup/", fetched(session, "/accounts/signup/"), email=address, password1=PASSWORD)
        confirming = mailbox.await_link(address)
        page = send(confirming, fetched(session, confirming))
        send("/found/", page, workspace="newcomer")
        page = fetched(session, link(fetched(session, "/"), "k"))
        issued = send("/keys/issue/", page, name="first", lifetime_days="", scopes="admin", monthly_tokens="")
    found = re.search(r"sk-ps-[0-9A-Za-z]{36}", issued)
    if not found:
        raise Miss("The page shows no API key.")
    return found.group()


def _client(site: str, api_key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{site}/v1", api_key=api_key, max_retries=0, timeout=120)


def _variables(site: int, files: int, mail_port: int, upstreams: Mapping[str, int]) -> dict[str, str]:
    return {
        "SITE_HOST": "localhost",
        "SITE_URL": f"https://localhost:{site}",
        "S3_PUBLIC_ENDPOINT_URL": f"https://localhost:{files}",
        "BASE_MODEL": MODEL,
        "MODELS": str((ROOT / "var" / "models").resolve()),
        "EMAIL_URL": f"smtp://{mail.USER}:{mail.USER}@{mail.HOST}:{mail_port}",
        "POLYSCRIBE_VERSION": VERSION,
        "WEB_PORT": str(upstreams["web:8000"]),
        "WEB_2_PORT": str(upstreams["web-2:8000"]),
        "GATEWAY_PORT": str(upstreams["gateway:8000"]),
        "S3_PORT": str(upstreams["seaweedfs:8333"]),
        "ENGINE_MAX_LORAS": "8",
        "ENGINE_MAX_CPU_LORAS": "16",
        "ENGINE_MAX_NUM_SEQS": "16",
    }
