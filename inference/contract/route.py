"""Where a model name leads: the version, and the places that it is loaded on."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

type State = Literal["warm", "cpu", "disk", "loading"]


NEAREST: tuple[State, ...] = ("warm", "cpu", "disk")


@dataclass(frozen=True, slots=True)
class Place:
    """One engine that a version is loaded on, as `model`. `adapter` is that name, or "" for the bare base."""

    engine: str
    url: str
    model: str
    adapter: str
    limits: "Limits"
    healthy: bool  # as the worker beside the engine found it


class Limits(NamedTuple):
    """What an engine can do at a time: requests, adapters at work, adapters in memory."""

    max_num_seqs: int
    max_loras: int
    max_cpu_loras: int

    @property
    def slots(self) -> int:
        """Adapters at work that the gateway may cause."""
        # One is left to the probes and samples of uploads: they take no turns, and while all slots are in
        # use the engine begins nothing that needs another one.
        return max(1, self.max_loras - 1)


@dataclass(frozen=True, slots=True)
class Route:
    """Where a model name leads; without places it is on its way. `version_id` is "" for the base model."""

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
def read_route(written: str) -> Route:
    """Return a route as adapters/routing/route_table.py writes it; many requests share one."""
    route = json.loads(written)
    base_model = route.get("base_model") or ""
    return Route(
        style=route["style"], name=route["name"], version=route.get("version"),
        version_id=route.get("version_id") or "", sha256=route.get("sha256") or "", base_model=base_model,
        max_model_len=route.get("max_model_len") or 0,
        places=tuple(_place(place, base_model) for place in route.get("places") or ()),
        created=route.get("created") or 0, about=route.get("about") or "",
    )  # fmt: skip


def _place(place: dict[str, Any], base_model: str) -> Place:
    model = place["lora"]
    return Place(
        place["engine"], place["url"], model, "" if model == base_model else model,
        Limits(place["max_num_seqs"], place["max_loras"], place["max_cpu_loras"]),
        place.get("healthy", True),  # a route may have been written before this was told
    )  # fmt: skip
