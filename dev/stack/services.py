"""PostgreSQL, Valkey and SeaweedFS started together."""

import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from stack import environment, postgres, seaweed, valkey
from stack.environment import Addresses, engine_count, engine_sockets, further_engines, site_variables
from stack.errors import StackError
from stack.folders import Credentials, Folders, held
from stack.ports import Ports
from stack.processes import Program, Supervisor, end_leftovers
from stack.steps import Steps, Waiting

WEB_PORT = 8000  # of a person's demo, where it is free: the documents say so


@dataclass
class Stack:
    """One running stack: its folder, secrets, addresses, processes, and who waits for what."""

    folders: Folders
    credentials: Credentials
    addresses: Addresses
    seaweed_ports: seaweed.SeaweedPorts
    supervisor: Supervisor
    steps: Steps
    waiting: Waiting
    variables: dict[str, str] = field(init=False)
    further_engines: list[dict[str, str]] = field(init=False)

    def __post_init__(self) -> None:
        self.variables = {**os.environ, **site_variables(self.folders, self.addresses, self.credentials)}
        self.further_engines = further_engines(self.variables, self.addresses)

    def start(self, programs: Iterable[Program]) -> list[Future[None]]:
        """Start programs one after the other; return the readiness of those that others wait for."""
        began_s = time.monotonic()
        waits = []
        for program in programs:
            self.supervisor.start(program)
            if program.ready:
                wait = partial(
                    self.supervisor.await_ready, program.name, program.ready, within_s=program.ready_within_s
                )
                waits.append(self.waiting.watch(program.step or program.title, wait, since_s=began_s))
        return waits


@contextmanager
def opened(folders: Folders, steps: Steps) -> Iterator[Stack]:
    """Hold the data folder, end what a crash left, choose ports; stop every process at the end."""
    with held(folders):
        if count := end_leftovers(folders):
            steps.say(f"  ! stopped {count} processes left over from a crash")
        ports = Ports(folders.var / "ports.json")
        seaweed_ports = seaweed.SeaweedPorts.taken(ports)
        supervisor = Supervisor(folders, steps.say)
        waiting = Waiting(steps)
        try:
            yield Stack(
                folders=folders,
                credentials=Credentials.of(folders.var),
                addresses=_addresses(folders, ports, s3=seaweed_ports.http["s3"]),
                seaweed_ports=seaweed_ports,
                supervisor=supervisor,
                steps=steps,
                waiting=waiting,
            )
        finally:
            supervisor.stop()
            waiting.close()
            seaweed_ports.clear_sockets()
            ports.release()


def start(stack: Stack) -> list[Future[None]]:
    """Start the three services and return their readiness, which comes within seconds."""
    return stack.start(programs(stack))


def programs(stack: Stack) -> Iterator[Program]:
    """Yield the three services. PostgreSQL's data folder is made while the others start."""
    folders = stack.folders
    addresses = stack.addresses
    credentials = stack.credentials
    yield seaweed.program(folders, stack.seaweed_ports, credentials, origins=origins(addresses))
    yield valkey.program(folders, addresses.valkey, credentials.valkey_password)
    yield postgres.program(folders, addresses.postgres, credentials.postgres_password)


def origins(addresses: Addresses) -> list[str]:
    """Return the origins whose pages may upload: the site by both of its names."""
    return [addresses.site, addresses.site.replace("127.0.0.1", "localhost")]


def _addresses(folders: Folders, ports: Ports, *, s3: int) -> Addresses:
    engine_port = ports.take("engine")
    engine_url = f"http://127.0.0.1:{engine_port}"
    listening = engine_sockets(folders, engine_count())
    if listening:
        engine_url = environment.address_of(listening[0])
    return Addresses(
        postgres=ports.take("postgres"),
        valkey=ports.take("valkey"),
        s3=s3,
        web=_web_port(ports, preferred=None if folders.temporary else WEB_PORT),
        engine_port=engine_port,
        engine_url=os.environ.get("ENGINE_URL") or engine_url,
        further_engine_ports=tuple(ports.take(f"engine-{n}") for n in range(2, engine_count() + 1)),
        engine_sockets=listening,
    )


def _web_port(ports: Ports, *, preferred: int | None) -> int:
    wanted = os.environ.get("PORT")
    if not wanted:
        return ports.take("web", preferred=preferred)
    if not wanted.isdigit() or not 0 < int(wanted) < 65536:
        raise StackError(f"PORT={wanted} is not a valid port. Use a number from 1 to 65535.")
    return ports.take_exactly(int(wanted), variable="PORT")
