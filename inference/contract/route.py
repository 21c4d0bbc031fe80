"""Where a model name leads: a version, and the engines that have it loaded."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from inference.contract.sampling import Sampling
from inference.facts import AdapterTier, value

NEAREST: tuple[AdapterTier, ...] = (
    "warm",
    "cpu",
    "disk",
)  # where an engine has an adapter, the nearest first
BASE_NAME = "base"  # the base model without a style: its name and, in routes, its version
NO_STYLE = "-"


@dataclass(frozen=True, slots=True)
class Placement:
    """One engine that has a version loaded, under the name `model`.

    `adapter` is the same name, or "" for the base model without an adapter.
    """

    engine: str
    url: str
    model: str
    adapter: str
    limits: "EngineLimits"
    healthy: bool  # by the last health check of the worker beside the engine


class EngineLimits(NamedTuple):
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


class Provenance(NamedTuple):
    """What exactly answers: usage events keep it. All of it is "" or None where it is not known."""

    style: str | None = None
    name: str = ""
    version: int | None = None
    sha256: str = ""
    base_model: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A version, and where it is. A route without placements is of a version that is being loaded.

    `version_id` is "" for the base model. `provenance` is JSON that `read_provenance` reads. `sampling` is
    what requests get that send none.
    """

    style: str | None
    name: str
    version: int | None
    version_id: str
    sha256: str
    base_model: str
    max_model_len: int
    placements: tuple[Placement, ...]
    provenance: str
    sampling: Sampling
    created: int = 0  # when the version was made, in Unix seconds


@value
class EngineChoice:
    """Where a request runs: its version's route, the engine's name ("" before one is chosen), and how near
    the adapter was there.
    """

    route: Route
    engine: str = ""
    tier: AdapterTier | None = None


class Target(NamedTuple):
    """What a name leads to: a style (or NO_STYLE), a version (or BASE_NAME), and what the list says of it."""

    style: str
    version_id: str
    about: str


@dataclass(frozen=True, slots=True)
class StyleNames:
    """Where the names of one style lead a workspace: what follows its model name → a version's id."""

    style: str
    versions: Mapping[str, str]
    about: str

    def target(self, suffix: str) -> Target | None:
        """Return where a name leads; None: nowhere."""
        version_id = self.versions.get(suffix)
        return Target(self.style, version_id, self.about) if version_id else None


def read_style(row: str | None, right: str | None) -> StyleNames | None:
    """Return where a style's row leads a workspace that has a right to it; None: it may not use the style.

    adapters/routing writes rows (style_table.py) and rights (library_table.py); admission.lua reads them
    alike.
    """
    if not (row and right):
        return None
    facts = json.loads(row)
    if right == "selected" and not facts["is_public"]:
        return None
    view = facts["owner"]
    if right != "own":
        view = facts.get("others", view)
    return StyleNames(facts["style"], view["versions"], view["about"])


def read_provenance(serialized: str) -> Provenance:
    """Return what answered, from the `route` of a usage event."""
    return Provenance(**json.loads(serialized))
