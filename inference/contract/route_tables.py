"""The tables version → engines and engine → facts, which adapters/routing writes, and routes made of them."""

import json
from collections.abc import Iterable, Mapping
from typing import TypedDict

from inference.contract.route import BASE_NAME, EngineLimits, Placement, Provenance, Route
from inference.contract.sampling import Sampling, sampling_of_base, sampling_of_style


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

    def __contains__(self, version_id: str) -> bool:
        return version_id == BASE_NAME or version_id in self._versions

    def replace(self, versions: Mapping[str, str], engines: Mapping[str, str]) -> None:
        """Take all rows in place of those that are here."""
        self._versions = dict(versions)
        self._engines = {name: json.loads(row) for name, row in engines.items()}
        self._routes.clear()

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
            self._routes.clear()

    def route(self, version_id: str) -> Route:
        """Return the route of a version, or of BASE_NAME; an unknown version's has no name, no placement."""
        route = self._routes.get(version_id)
        if route is None:
            route = self._make_route(version_id)
            if version_id in self:
                self._routes[version_id] = route
        return route

    @property
    def base_context(self) -> int:
        """For how long a context the base model is served, in tokens; 0 while no engine serves it."""
        return self.route(BASE_NAME).max_model_len

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
