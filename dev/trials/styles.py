"""Many styles for a trial: small random adapters, made into styles, and whether all of them can be asked."""

import subprocess
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import redis

from core import valkey
from inference.contract.route import RouteTables, read_style
from labs.site import run_in_site
from stack import engine
from stack.errors import Miss, ServiceFailed
from stack.folders import ROOT
from trials.harness import pause

SCALE = 0.4  # of a layer's norm: then nearly every adapter writes a text of its own within a few words


def make_adapters(base: str, folder: Path, *, count: int, rank: int) -> list[Path]:
    """Return the folders of small random adapters. Raises ServiceFailed."""
    script = str(ROOT / "dev" / "labs" / "engine" / "generate.py")
    options = ["--base", base, "--out", str(folder), "--count", str(count), "--rank", str(rank)]
    options += ["--scale", str(SCALE)]
    done = subprocess.run([str(engine.PYTHON), script, *options], capture_output=True, text=True)
    if done.returncode:
        raise ServiceFailed(f"The random adapters were not made: {done.stderr.strip()[-300:]}")
    return sorted(folder.iterdir())


def create_styles(
    variables: Mapping[str, str], tenant: str, folders: Sequence[Path], *, count: int, public: bool = False
) -> list[str]:
    """Return the model names of new styles of a tenant that use the folders in turn. Raises ServiceFailed."""
    sources = list(map(str, folders))
    wanted = {"tenant": tenant, "folders": sources, "count": count, "public": public}
    made = run_in_site("styles.create_styles", variables, **wanted)
    return list(made)


class Routes:
    """What the data plane knows of a tenant's styles."""

    def __init__(self, variables: Mapping[str, str], tenant: str) -> None:
        # redis-py types each answer as the union of all its modes; ours is one: decoded text
        self._store: Any = redis.Redis.from_url(variables["VALKEY_URL"], decode_responses=True)
        self._library = valkey.library_key(tenant)

    def places(self) -> dict[str, list[tuple[str, str]]]:
        """Return style → where it is, as (URL of the engine, its name there); nothing while it is loading."""
        version_ids: set[str] = set()
        rows = self._store.hgetall(valkey.route_styles_key())
        for name, right in self._store.hgetall(self._library).items():
            style = read_style(rows.get(name), right)
            if style:
                version_ids |= set(style.versions.values())
        tables = RouteTables()
        tables.replace(
            self._store.hgetall(valkey.route_versions_key()), self._store.hgetall(valkey.route_engines_key())
        )
        found = {}
        for version_id in version_ids:
            route = tables.route(version_id)
            found[route.name] = [(place.url, place.model) for place in route.placements]
        return found

    def await_all(self, names: Collection[str], stopping: threading.Event, *, within_s: float) -> float:
        """Return after how many seconds all of these lead to an engine. Raises Miss."""
        began = time.monotonic()
        while missing := set(names) - {name for name, places in self.places().items() if places}:
            if time.monotonic() > began + within_s:
                raise Miss(f"After {within_s:.0f} s {len(missing)} styles are on no engine.")
            pause(stopping, 0.2)
        return time.monotonic() - began
