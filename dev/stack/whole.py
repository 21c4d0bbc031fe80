"""The whole stack: services, engine, site, and the seed that makes it useful."""

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from stack import application, engine, services
from stack.errors import ServiceFailed
from stack.processes import Program
from stack.services import Stack


@dataclass(frozen=True)
class Seeded:
    """What the seed made for a newcomer: a login and an API key."""

    login: str
    password: str
    api_key: str


def bring_up(stack: Stack, *, with_sample: bool = False) -> Seeded:
    """Start everything and seed it."""
    stack.waiting.all(services.start(stack))
    return bring_up_beside_services(stack, with_sample=with_sample)


def bring_up_beside_services(stack: Stack, *, with_sample: bool = False) -> Seeded:
    """Start the engine and the site where the services run already, and seed them.

    The database schema is made beside the base model. What needs only one of them doesn't wait for the other.
    """
    variables = stack.variables
    schema = application.manage("migrate", "--no-input", variables=variables, title="database schema")
    site = application.programs(stack.addresses.web, variables, stack.folders)
    early = [program for program in site if program.name not in application.READING_BASE_MODEL]
    site_ready: list[Future[None]] = []

    def start_early(ended: Program) -> None:
        if ended is schema:
            site_ready.extend(stack.start(early))

    engine_ready = start_engine(stack, schema, then=start_early)
    late = [program for program in site if program not in early]
    site_ready += stack.start([*late, *workers_beside_further_engines(stack)])
    stack.waiting.all(site_ready)
    seeded = seed(stack, with_sample=with_sample, beside=engine_ready)
    stack.waiting.all(engine_ready)
    return seeded


def prepare_base_model(stack: Stack) -> None:
    """Download the base model, unless it is there. Raises ServiceFailed or MissingPrerequisite."""
    run_steps(stack, *engine.preparations(stack.variables))


def run_steps(
    stack: Stack, *programs: Program, then: Callable[[Program], None] = lambda program: None
) -> None:
    """Run programs side by side to their ends, a step each; `then` is told of each. Raises ServiceFailed."""
    began_s = time.monotonic()
    for program in programs:
        stack.steps.awaiting(program.title)

    def ended(program: Program) -> None:
        stack.steps.arrived(program.title)
        stack.steps.done(program.title, time.monotonic() - began_s)
        then(program)

    stack.supervisor.once(*programs, ended=ended)


def start_engine(
    stack: Stack, *beside: Program, then: Callable[[Program], None] = lambda program: None
) -> list[Future[None]]:
    """Prepare the model, beside other programs that end; start vLLM or a Ray cluster as soon as it is there.

    `then` is called with each program that ended. Returns the engine's readiness, once all have ended. Raises
    ServiceFailed.
    """
    ready: list[Future[None]] = []
    preparations = engine.preparations(stack.variables)

    def go_on(program: Program) -> None:
        if program in preparations:
            ready.extend(_start_prepared(stack))
        then(program)

    if not preparations:
        ready.extend(_start_prepared(stack))
    run_steps(stack, *preparations, *beside, then=go_on)
    return ready


def _start_prepared(stack: Stack) -> list[Future[None]]:
    """Start the engine's programs. Raises ServiceFailed if one that is elsewhere does not respond."""
    variables = stack.variables
    if engine.is_elsewhere():
        if not engine.is_ready(variables):
            raise ServiceFailed(
                f"No engine is responding at ENGINE_URL={variables['ENGINE_URL']}. Start it, or unset "
                "ENGINE_URL."
            )
        return []
    if engine.is_ray(variables):
        return stack.start([engine.ray_program(variables, stack.folders)])
    every = enumerate([variables, *stack.further_engines], 1)
    return stack.start(engine.program(of_one, number=number) for number, of_one in every)


def workers_beside_further_engines(stack: Stack) -> list[Program]:
    """Register the second engine and so on; return the workers that are to stand beside them."""
    workers = []
    for number, variables in enumerate(stack.further_engines, 2):
        title = "manage.py registerengine"
        stack.supervisor.once(application.manage("registerengine", variables=variables, title=title))
        queue = f"engine.{variables['ENGINE_NAME']}"
        name = engine.numbered("worker-engine", number)
        worker = application.worker(name, queue, variables=variables, folders=stack.folders, threads=2)
        workers.append(worker)
    return workers


def seed(stack: Stack, *, with_sample: bool, beside: Sequence[Future[None]]) -> Seeded:
    """Make the demo's tenant and styles, which are checked while the engine starts; return login and API key.

    Raises ServiceFailed, also for what starts `beside`.
    """
    options = ["--within", f"{engine.READY_WITHIN_S:.0f}", *(["--sample"] if with_sample else [])]
    program = application.manage("seed", *options, variables=stack.variables, title="manage.py seed")
    stack.supervisor.once(program, show=stack.steps.say, beside=beside)
    try:
        made = json.loads(Path(stack.variables["DEMO_SECRETS_FILE"]).read_text())
        return Seeded(login=made["login"], password=made["password"], api_key=made["api_key"])
    except (OSError, KeyError, ValueError):
        raise ServiceFailed("manage.py seed finished without writing the login and the key.") from None
