"""The whole stack: services, engine, site, and the seed that makes it useful."""

import json
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from stack import application, engine, services
from stack.errors import ServiceFailed
from stack.services import Stack


@dataclass(frozen=True)
class Seeded:
    """What the seed made for a newcomer: a login and an API key."""

    login: str
    password: str
    api_key: str


def bring_up(stack: Stack) -> Seeded:
    """Start everything and seed it. The engine loads its model while the rest starts."""
    up, variables = stack.supervisor, stack.variables
    started_services = services.start(stack)
    engine_ready = start_engine(stack)
    stack.waiting.all(started_services)
    with stack.steps.step("database schema"):
        up.once(application.manage("migrate", "--no-input", variables=variables, title="manage.py migrate"))
    began_s = time.monotonic()
    for program in application.programs(stack.addresses.web, variables, stack.folders):
        up.start(program)
    log = stack.folders.logs / "worker.log"
    checks: dict[str, Callable[[], bool]] = {
        "web": partial(application.ready, stack.addresses.site),
        "worker": partial(application.works, log),
    }
    site_ready = [
        stack.waiting.watch(name, partial(up.await_ready, name, check, within_s=90), since_s=began_s)
        for name, check in checks.items()
    ]
    stack.waiting.all([*site_ready, *engine_ready])
    return seed(stack)


def start_engine(stack: Stack) -> list[Future[None]]:
    """Prepare the model, start vLLM, and return its readiness. Raises ServiceFailed."""
    up, url, key = stack.supervisor, stack.addresses.engine_url, stack.variables["ENGINE_API_KEY"]
    for preparation in engine.preparations(stack.variables):
        with stack.steps.step(preparation.title):
            up.once(preparation)
    check = partial(engine.ready, url, key)
    if engine.is_elsewhere():
        if not check():
            raise ServiceFailed(f"No vLLM answers at ENGINE_URL={url}: start it, or leave ENGINE_URL away.")
        return []
    up.start(engine.program(stack.variables))
    wait = partial(up.await_ready, "engine", check, within_s=engine.READY_WITHIN_S)
    return [stack.waiting.watch("vLLM", wait, since_s=time.monotonic())]


def seed(stack: Stack) -> Seeded:
    """Let `manage.py seed` make the demo's tenant and styles; return what it says last, one line of JSON."""
    lines: list[str] = []

    def show(line: str) -> None:
        lines.append(line)
        if not line.startswith("{"):
            stack.steps.say(line)

    stack.supervisor.once(
        application.manage("seed", variables=stack.variables, title="manage.py seed"), show=show
    )
    try:
        made = json.loads(lines[-1])
        return Seeded(login=made["login"], password=made["password"], api_key=made["api_key"])
    except (IndexError, KeyError, ValueError):
        raise ServiceFailed("manage.py seed ended without telling the login and the key.") from None
