"""Where a model name leads: a version, and the engines that have it loaded."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

from django.conf import settings

from inference.facts import AdapterTier, JsonObject

# How an answer is drawn: by the request's own `temperature` and `top_p`, else by those of its style.
#
# Each of the two is filled in by itself, so no answer runs at what a base model's files say (decision 75).

GREEDY_BELOW = 1e-5  # vLLM's _SAMPLING_EPS; below it the likeliest token is taken, and nothing is drawn


class Sampling(NamedTuple):
    """What a request gets that sends none."""

    temperature: float
    top_p: float

    def missing_in(self, fields: JsonObject) -> JsonObject:
        """Return what the engine gets beside a request's own fields; nothing where it wants no draw."""
        if is_greedy(fields):
            return {}
        return {name: value for name, value in zip(self._fields, self, strict=True) if name not in fields}

    def describe(self, fields: JsonObject) -> str:
        """Return what the answer to these fields is drawn with, as its header says it."""
        if is_greedy(fields):
            return "temperature=0"
        temperature = fields.get("temperature", self.temperature)
        return f"temperature={temperature:g}; top_p={fields.get('top_p', self.top_p):g}"


def is_greedy(fields: JsonObject) -> bool:
    """Return whether a request wants the likeliest tokens. No style has that as its default."""
    return bool(fields.get("temperature", 1) < GREEDY_BELOW)


def sampling_of_style(facts: JsonObject) -> Sampling:
    """Return the defaults of a version's style; what its owner left open, the settings say."""
    return Sampling(
        facts.get("temperature", settings.STYLE_TEMPERATURE), facts.get("top_p", settings.STYLE_TOP_P)
    )


def sampling_of_base() -> Sampling:
    """Return the base model's defaults."""
    return Sampling(settings.BASE_TEMPERATURE, settings.BASE_TOP_P)


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

    adapters/routing/tables.py makes rows and rights; admission.lua reads them alike.
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


# The tables version → engines and engine → facts, which adapters/routing writes, and routes made of them.


class EngineFacts(TypedDict):
    """An engine's row."""

    url: str
    base_model: str
    base: str  # the base model's name there, "" where it is not served without an adapter
    base_created: int
    max_model_len: int
    max_num_seqs: int
    max_loras: int
    max_cpu_loras: int
    healthy: bool
    draining: bool


class RouteTables:
    """Both tables in memory. Routes are made of rows at their first use, and kept until the rows change."""

    def __init__(self) -> None:
        self._versions: dict[str, str] = {}
        self._engines: dict[str, EngineFacts] = {}
        self._routes: dict[str, Route] = {}
        self.base_context = 0  # for how many tokens the base model is served; 0 while no engine serves it

    def __contains__(self, version_id: str) -> bool:
        return version_id == BASE_NAME or version_id in self._versions

    def replace(self, versions: Mapping[str, str], engines: Mapping[str, str]) -> None:
        """Take all rows in place of those that are here."""
        self._versions = dict(versions)
        self._engines = {name: json.loads(row) for name, row in engines.items()}
        self._forget_routes()

    def update_versions(self, rows: Mapping[str, str | None]) -> None:
        """Take some versions' rows; None: it is gone."""
        for version_id, row in rows.items():
            self._routes.pop(version_id, None)
            if row is None:
                self._versions.pop(version_id, None)
            else:
                self._versions[version_id] = row

    def update_engines(self, rows: Mapping[str, str | None]) -> None:
        """Take some engines' rows; None: it is gone."""
        for name, row in rows.items():
            if row is None:
                self._engines.pop(name, None)
            else:
                self._engines[name] = json.loads(row)
        if rows:
            self._forget_routes()

    def route(self, version_id: str) -> Route:
        """Return the route of a version, or of BASE_NAME; an unknown version's has no name, no placement."""
        route = self._routes.get(version_id)
        if route is None:
            route = self._make_route(version_id)
            if version_id in self:
                self._routes[version_id] = route
        return route

    def _forget_routes(self) -> None:
        self._routes.clear()
        self.base_context = self.route(BASE_NAME).max_model_len

    def _make_route(self, version_id: str) -> Route:
        if version_id == BASE_NAME:
            return self._make_base_route()
        row = self._versions.get(version_id)
        if row is None:
            return _assemble(Provenance(), version_id, {}, [], sampling=sampling_of_style({}))
        _, serialized = row.split(" ", 1)
        facts = json.loads(serialized)
        provenance = Provenance(*[facts[name] for name in Provenance._fields])
        placements = self._placements(facts["engines"])
        return _assemble(
            provenance,
            version_id,
            self._engines,
            placements,
            sampling=sampling_of_style(facts),
            created=facts["created"],
        )

    def _make_base_route(self) -> Route:
        serving = {name: facts["base"] for name, facts in self._engines.items() if facts["base"]}
        base_model = ""
        created = 0
        for name in serving:
            base_model = self._engines[name]["base_model"]
            created = self._engines[name]["base_created"]
        provenance = Provenance(name=BASE_NAME, base_model=base_model)
        return _assemble(
            provenance,
            "",
            self._engines,
            self._placements(serving),
            sampling=sampling_of_base(),
            created=created,
        )

    def _placements(self, loaded_as: Mapping[str, str]) -> list[Placement]:
        """Return the placements that take requests, the healthy ones first."""
        # A draining engine takes requests only for what is on no other.
        known = [name for name in loaded_as if name in self._engines]
        open_names = [name for name in known if not self._engines[name]["draining"]] or known
        placements = [_make_placement(name, loaded_as[name], self._engines[name]) for name in open_names]
        return sorted(placements, key=lambda one: (not one.healthy, one.engine))


def _make_placement(name: str, model: str, facts: EngineFacts) -> Placement:
    return Placement(
        engine=name,
        url=facts["url"],
        model=model,
        adapter="" if model == facts["base_model"] else model,
        limits=EngineLimits(facts["max_num_seqs"], facts["max_loras"], facts["max_cpu_loras"]),
        healthy=facts["healthy"],
    )


def _assemble(
    provenance: Provenance,
    version_id: str,
    engines: Mapping[str, EngineFacts],
    placements: Iterable[Placement],
    *,
    sampling: Sampling,
    created: int = 0,
) -> Route:
    placements = tuple(placements)
    contexts = [engines[placement.engine]["max_model_len"] for placement in placements]
    return Route(
        **provenance._asdict(),
        version_id=version_id,
        max_model_len=min(contexts, default=0),
        placements=placements,
        provenance=json.dumps(provenance._asdict()),
        sampling=sampling,
        created=created,
    )
