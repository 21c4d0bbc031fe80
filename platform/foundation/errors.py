"""The tree of errors that actions raise. HTTP statuses are decided elsewhere, in one table a floor."""


class DomainError(Exception):
    """What a person requested can't be done."""

    code = "error"

    def __init__(self, message: str | None = None, **facts: object) -> None:
        self.facts = facts
        self.message = message or " ".join((type(self).__doc__ or "").split()).format(**facts)
        super().__init__(self.message)


class Invalid(DomainError):
    """What was sent is not valid."""

    code = "invalid"


class NotFound(DomainError):
    """There is nothing here by that name."""

    code = "not_found"


class NotAllowed(DomainError):
    """This is not allowed."""

    code = "not_allowed"


class Conflict(DomainError):
    """The thing has changed meanwhile; reload and try again."""

    code = "conflict"


class Unavailable(DomainError):
    """A part of the service is not reachable; try again shortly."""

    code = "unavailable"
