"""The tables version → engines and engine → facts, which adapters/routing writes, and routes made of them."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from inference.contract.route import BASE, Limits, Place, Provenance, Route


class RouteTables:
    """Both tables in memory. Routes are made of rows at their first use, and kept until the rows change."""

    def __init__(self) -> None:
        self._versions: dict[str, str] = {}
        self._engines: dict[str, dict[str, Any]] = {}
        self._routes: dict[str, Route] = {}

    def __contains__(self, version_id: str) -> bool:
        return version_id == BASE or version_id in self._versions

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
        """Return the route of a version, or of BASE; that of an unknown version has no name and no place."""
        route = self._routes.get(version_id)
        if route is None:
            route = self._make_route(version_id)
            if version_id in self:
                self._routes[version_id] = route
        return route

    @property
    def base_context(self) -> int:
        """For how long a context the base model is served, in tokens; 0 while no engine serves it."""
        return self.route(BASE).max_model_len

    def _make_route(self, version_id: str) -> Route:
        if version_id == BASE:
            return self._make_base_route()
        row = self._versions.get(version_id)
        if row is None:
            return _assemble(Provenance(), version_id, {}, [])
        _, serialized = row.split(" ", 1)
        facts = json.loads(serialized)
        provenance = Provenance(*[facts[name] for name in Provenance._fields])
        places = self._places(facts["engines"])
        return _assemble(provenance, version_id, self._engines, places, created=facts["created"])

    def _make_base_route(self) -> Route:
        serving = {name: facts["base"] for name, facts in self._engines.items() if facts["base"]}
        base_model = ""
        created = 0
        for name in serving:
            base_model = self._engines[name]["base_model"]
            created = self._engines[name]["base_created"]
        provenance = Provenance(name=BASE, base_model=base_model)
        return _assemble(provenance, "", self._engines, self._places(serving), created=created)

    def _places(self, loaded_as: Mapping[str, str]) -> list[Place]:
        """Return the places that take requests, the healthy ones first."""
        # A draining engine takes requests only for what is on no other.
        known = [name for name in loaded_as if name in self._engines]
        open_names = [name for name in known if not self._engines[name]["draining"]] or known
        places = [_make_place(name, loaded_as[name], self._engines[name]) for name in open_names]
        return sorted(places, key=lambda place: (not place.healthy, place.engine))


def _make_place(name: str, model: str, facts: Mapping[str, Any]) -> Place:
    return Place(
        engine=name,
        url=facts["url"],
        model=model,
        adapter="" if model == facts["base_model"] else model,
        limits=Limits(facts["max_num_seqs"], facts["max_loras"], facts["max_cpu_loras"]),
        healthy=facts["healthy"],
    )


def _assemble(
    provenance: Provenance,
    version_id: str,
    engines: Mapping[str, Mapping[str, Any]],
    places: Iterable[Place],
    *,
    created: int = 0,
) -> Route:
    places = tuple(places)
    contexts = [engines[place.engine]["max_model_len"] for place in places]
    return Route(
        **provenance._asdict(),
        version_id=version_id,
        max_model_len=min(contexts, default=0),
        places=places,
        provenance=json.dumps(provenance._asdict()),
        created=created,
    )
