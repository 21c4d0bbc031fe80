"""What the schemas of one request count together."""

from dataclasses import dataclass

from inference.errors import BadRequest


@dataclass(eq=False)
class Budget:
    """What the schemas of one request have used. `place` is the field that errors name."""

    place: str
    properties: int = 0
    enum_values: int = 0
    branches: int = 0

    def require(self, is_valid: object, why: str) -> None:
        """Raise BadRequest for the request's field if something in it is not valid."""
        if not is_valid:
            raise self.error(why)

    def error(self, why: str) -> BadRequest:
        """Return the error for the request's field."""
        return BadRequest(f"`{self.place}`: {why}", param=self.place)
