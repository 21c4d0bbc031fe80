"""The tree of errors that actions raise. HTTP statuses are decided elsewhere, in one table per package.

`error.message` is for people, in their language. `str(error)` is English: what is logged or stored.
`error.program_message` is English for callers of an API, who see no page: `for_programs`, where a class has
it, says the same with the API's own names.
"""

import re
from collections.abc import Mapping

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext, override

WORD_START = re.compile("(?<!^)(?=[A-Z])")


class DomainError(Exception):
    """This can't be done."""

    code = "error"  # of subclasses: the class's name in snake case, unless they say another
    for_programs = ""
    names_support = False  # errors about money end with the address of support, if there is one

    def __init_subclass__(cls) -> None:
        """Derive the code from the name: `StyleNotFound` is "style_not_found" to clients."""
        super().__init_subclass__()
        if "code" not in cls.__dict__:
            cls.code = WORD_START.sub("_", cls.__name__).lower()

    def __init__(self, message: str | Promise | None = None, **facts: object) -> None:
        self.facts = facts
        self.given = message
        with override("en"):
            super().__init__(self.message)

    @property
    def message(self) -> str:
        """The sentence in the active language."""
        if self.given is not None:
            return self._with_support(str(self.given))
        return self.describe(self.facts)

    @classmethod
    def describe(cls, facts: Mapping[str, object]) -> str:
        """Return the sentence of an error with these facts, in the active language."""
        words = " ".join((cls.__doc__ or "").split())
        return cls._with_support(gettext(words).format(**facts))

    @classmethod
    def _with_support(cls, sentence: str) -> str:
        if not cls.names_support or not settings.SUPPORT_EMAIL:
            return sentence
        contact = gettext("Questions? Contact {address}.").format(address=settings.SUPPORT_EMAIL)
        return f"{sentence} {contact}"

    @property
    def program_message(self) -> str:
        """The English sentence for callers of an API. A class never speaks with its parent's."""
        sentence = type(self).__dict__.get("for_programs", "")
        if self.given is None and sentence:
            return str(sentence).format(**self.facts)
        return str(self)


class Invalid(DomainError):
    """The request is invalid."""


class FieldsRefused(Invalid):
    """Some fields are invalid. See the messages next to them."""

    code = "invalid"

    for_programs = "Some fields are invalid. See `errors`."

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        super().__init__()
        self.errors = errors


class NotFound(DomainError):
    """Not found."""


class NotAllowed(DomainError):
    """You don't have permission to do this."""


class Conflict(DomainError):
    """This has changed in the meantime. Reload the page and try again."""

    for_programs = "The object has changed in the meantime. Get it again and retry."


class Unavailable(DomainError):
    """Part of the service is unavailable. Try again shortly."""


# Errors of the management API's common parts, apart from REST framework: the data plane knows them, too.


class PreconditionFailed(DomainError):
    """The object has changed since you read it. Get it again and send its new ETag as If-Match."""


class TooManyRequests(DomainError):
    """Too many requests: this key is limited to {limit} requests per minute. Try again in {retry_s} s."""

    code = "rate_limit_exceeded"
