"""What it costs to compile a grammar.

The weights are CPU milliseconds of xgrammar 0.2.8 with a vocabulary of 49,152 tokens (docs/api.md says how
they were measured).
"""

from dataclasses import dataclass, field

from inference.errors import BadRequest

MAX_COST_MS = 2000

WIDE_MS = 18.0  # one more character of a text or a pattern that may be nearly any: `.`, `\\w`, maxLength
NARROW_MS = 3.0  # one of a few characters: `[a-z]`
LITERAL_MS = 0.5
ITEMS_MS = 12.0  # an array with a bound
PROPERTY_MS = 0.3
OPTIONAL_PAIR_MS = 0.004  # any subset of the optional properties may stand: quadratic in an object
ENUM_VALUE_MS = 0.05
BRANCH_MS = 1.0
FORMATS_MS = {
    "date": 10.0, "time": 10.0, "date-time": 10.0, "duration": 10.0, "email": 50.0, "hostname": 20.0,
    "ipv4": 10.0, "ipv6": 20.0, "uuid": 10.0, "uri": 30.0, "uri-reference": 50.0, "json-pointer": 10.0,
    "relative-json-pointer": 10.0,
}  # fmt: skip


@dataclass(eq=False)
class Budget:
    """What the schemas and patterns of one request have used. `place` is the field that errors name."""

    place: str
    cost_ms: float = 0.0
    properties: int = 0
    enum_values: int = 0
    branches: int = 0
    compiled_once: set[object] = field(default_factory=set)  # xgrammar compiles equal parts once

    def error(self, why: str) -> BadRequest:
        """Return the error for the request's field."""
        return BadRequest(f"`{self.place}`: {why}", param=self.place)

    def spend(self, cost_ms: float, *, once: object = None) -> None:
        """Add a cost; a cost with the same `once` counts once. Raises BadRequest when the sum is too high."""
        if once is not None:
            if once in self.compiled_once:
                return
            self.compiled_once.add(once)
        self.cost_ms += cost_ms
        if self.cost_ms > MAX_COST_MS:
            raise self.error(
                "the schema is too costly to compile; use fewer or shorter length bounds, repetitions, "
                "patterns or optional properties."
            )
