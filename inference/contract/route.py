"""Where a model name leads: a version, and the engines that have it loaded."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

type State = Literal["warm", "cpu", "disk", "loading"]

NEAREST: tuple[State, ...] = ("warm", "cpu", "disk")  # where an engine has an adapter, the nearest first


@dataclass(frozen=True, slots=True)
class Place:
    """One engine that has a version loaded, under the name `model`.

    `adapter` is the same name, or "" for the base model without an adapter.
    """

    engine: str
    url: str
    model: str
    adapter: str
    limits: "Limits"
    healthy: bool  # by the last health check of the worker beside the engine


class Limits(NamedTuple):
    """What an engine can hold at a time: running requests, active adapters, adapters in memory."""

    max_num_seqs: int
    max_loras: int
    max_cpu_loras: int

    @property
    def slots(self) -> int:
        """How many adapters the gateway may have active."""
        # The probes and samples of uploads bypass the gateway's queue and keep one slot. While all slots are
        # in use, the engine starts no request that needs another adapter.
        return max(1, self.max_loras - 1)


@dataclass(frozen=True, slots=True)
class Route:
    """Where a model name leads. A route without places is of a version that is being loaded.

    `version_id` is "" for the base model.
    """

    style: str | None
    name: str
    version: int | None
    version_id: str
    sha256: str
    base_model: str
    max_model_len: int
    places: tuple[Place, ...]
    created: int = 0  # when the version was made, in Unix seconds
    about: str = ""


@lru_cache(maxsize=4096)
def read_route(serialized: str) -> Route:
    """Return a route from the JSON of adapters/routing/route_table.py. Requests share one object."""
    route = json.loads(serialized)
    base_model = route.get("base_model") or ""
    places = [_read_place(place, base_model) for place in route.get("places") or ()]
    return Route(
        style=route["style"],
        name=route["name"],
        version=route.get("version"),
        version_id=route.get("version_id") or "",
        sha256=route.get("sha256") or "",
        base_model=base_model,
        max_model_len=route.get("max_model_len") or 0,
        places=tuple(places),
        created=route.get("created") or 0,
        about=route.get("about") or "",
    )


def _read_place(place: dict[str, Any], base_model: str) -> Place:
    model = place["lora"]
    return Place(
        engine=place["engine"],
        url=place["url"],
        model=model,
        adapter="" if model == base_model else model,
        limits=Limits(place["max_num_seqs"], place["max_loras"], place["max_cpu_loras"]),
        healthy=place.get("healthy", True),  # routes of older releases lack it
    )
