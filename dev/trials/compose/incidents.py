"""What may happen to an installation in use: an upgrade, a crash of each service, a restore from a backup."""

import os
import shutil
import time
from collections.abc import Callable, Mapping
from typing import Any

import openai

from stack.api import Upload, wait_until
from stack.errors import Miss
from stack.folders import ROOT
from stack.steps import Steps
from trials.compose import images, passwords, traffic
from trials.compose.project import Project

VERSION = "trial"
IMAGE = f"localhost/polyscribe:{VERSION}"
WELL_WITHIN_S = 900.0
BACK_WITHIN_S = 300.0
TASKS = ("migrate", "base-model", "storage-keys")
# Pages need these; whatever else crashes must not be seen on them.
PAGES_NEED = ("postgres", "valkey")
STREAMS = 2
SITE_USER = 10001


def upgrade(project: Project, site: str, client: openai.OpenAI, upload: Upload) -> dict[str, Any]:
    """Upgrade to another image and other passwords while pages are opened and streams are read.

    Raises Miss for what failed.
    """
    before_s = time.time()
    images.build_image(IMAGE, ROOT, "Dockerfile", ("--label=version=next",))
    with (
        traffic.Pages(site) as pages,
        traffic.asking(client, upload.model, streams=STREAMS) as requests,
    ):
        wait_until(lambda: bool(requests.streams), within_s=BACK_WITHIN_S, what="no stream ended")
        began_s = time.monotonic()
        old_password = passwords.add_second(project)
        project.deploy("upgrade.sh", "--built")
        passwords.forget_first(project, old_password)
        project.await_well(within_s=BACK_WITHIN_S)
        seconds = round(time.monotonic() - began_s, 1)
    replaced = [one for one in project.containers() if one.created_s > before_s and one.service not in TASKS]
    gateway = project.container("gateway")
    across = requests.count_streams_across(gateway.created_s)
    found = {
        "seconds": seconds,
        "replaced": len(replaced),
        "pages": pages.asked,
        "pages_failed": len(pages.faults),
        "slowest_page_s": pages.slowest_s,
        "requests": requests.answered,
        "streams": len(requests.streams),
        "streams_across": across,
        "requests_failed": len(requests.faults),
    }
    if pages.faults or requests.faults or not across:
        raise Miss(f"The upgrade was seen: {found} {[*pages.faults, *requests.faults][:5]}")
    return found


def crash_each(
    project: Project, steps: Steps, site: str, client: openai.OpenAI, upload: Upload
) -> dict[str, dict[str, float]]:
    """Kill each service in turn while pages are asked for; it must come back by itself, and the style answer.

    Return when it was back, and for how long pages were away. Raises Miss.
    """
    found = {}
    for service in [name for name, service in project.services.items() if is_served(name, service)]:
        with steps.step(f"{service} crashes and is back"), traffic.Pages(site) as pages:
            began_s = time.monotonic()
            project.crash(service)
            project.await_well(within_s=BACK_WITHIN_S)
            await_answer(client, upload.model)
            back_s = round(time.monotonic() - began_s, 1)
        found[service] = {
            "back_s": back_s,
            "pages_away_s": pages.away_s,
            "pages_failed": len(pages.faults),
            "slowest_page_s": pages.slowest_s,
        }
        steps.say(f"    {found[service]}")
        if pages.away_s and service not in PAGES_NEED:
            raise Miss(f"{service} crashed and pages were away for {pages.away_s} s: {pages.faults[:3]}")
    return found


def restore(project: Project, client: openai.OpenAI, upload: Upload) -> dict[str, float]:
    """Back up, delete every volume, restore; return how long each took until the style answered."""
    folder = project.folder / "backup"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.chown(folder, SITE_USER, SITE_USER)
    manage = ["run", "--rm", "-T", f"--volume={folder}:/backup", "web", "python", "manage.py"]
    seconds = {}

    def measured(what: str, work: Callable[[], object]) -> None:
        began_s = time.monotonic()
        work()
        seconds[f"{what}_s"] = round(time.monotonic() - began_s, 1)

    measured("backup", lambda: project.compose(*manage, "backup", "/backup/day"))
    project.compose("down", "--volumes", "--timeout=10")
    measured("restore", lambda: project.compose(*manage, "restore", "/backup/day"))

    def bring_up() -> None:
        project.compose("up", "--detach", "--no-build")
        project.await_well(within_s=WELL_WITHIN_S)
        await_answer(client, upload.model)

    measured("serving", bring_up)
    return seconds


def is_served(name: str, service: Mapping[str, Any]) -> bool:
    """Return whether a service runs all the time, without a profile being asked for."""
    return name not in TASKS and "profiles" not in service


def await_answer(client: openai.OpenAI, model: str) -> None:
    """Wait until a style answers. Raises Miss."""
    wait_until(lambda: _is_answering(client, model), within_s=BACK_WITHIN_S, what=f"{model} did not answer")


def _is_answering(client: openai.OpenAI, model: str) -> bool:
    try:
        answer = client.chat.completions.create(model=model, messages=traffic.MESSAGES, max_tokens=4)
    except openai.OpenAIError:
        return False
    return bool(answer.choices)
