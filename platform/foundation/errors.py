"""The tree of errors that actions raise. HTTP statuses are decided elsewhere, in one table a floor.

`error.message` is for people, in their language. `str(error)` is English: what is logged or stored.
"""

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext, override


class DomainError(Exception):
    """What a person requested can't be done."""

    code = "error"
    names_support = (
        False  # of errors about money: the message ends with the address of support, if there is one
    )

    def __init__(self, message: str | Promise | None = None, **facts: object) -> None:
        self.facts = facts
        self._given = message
        with override("en"):
            super().__init__(self.message)

    @property
    def message(self) -> str:
        """The sentence in the active language."""
        if self._given is not None:
            sentence = str(self._given)
        else:
            words = " ".join((type(self).__doc__ or "").split())
            sentence = gettext(words).format(**self.facts)
        if self.names_support and settings.SUPPORT_EMAIL:
            contact = gettext("Questions? Write to {address}.").format(address=settings.SUPPORT_EMAIL)
            return f"{sentence} {contact}"
        return sentence


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
