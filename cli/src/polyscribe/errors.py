"""Everything that can go wrong, as one tree. The docstring is the message unless another one is given."""

from collections.abc import Sequence
from typing import Any

Object = dict[str, Any]  # what the API answers: docs/api.md describes the fields


class PolyscribeError(Exception):
    """Something went wrong."""

    exit_code = 1  # of the command line; docs/cli.md lists the codes

    def __init__(self, message: str = "", **facts: Any) -> None:
        """`facts` are attributes, and stand in what `--json` prints of the error."""
        self.message = message or " ".join((type(self).__doc__ or "").split())
        self.facts = facts
        vars(self).update(facts)
        super().__init__(self.message)


class WrongUsage(PolyscribeError):
    """The command or the settings file is wrong."""

    exit_code = 2


class BadAddress(WrongUsage):
    """The service's address is invalid. Use the form https://polyscribe.example.com."""


class BadSettings(WrongUsage):
    """The settings file can't be read. Run `polyscribe login` to recreate it."""


class NoSuchProfile(WrongUsage):
    """There is no profile with that name. See `polyscribe profiles list`."""


class NotConfirmed(WrongUsage):
    """This can't be undone and needs confirmation. Add --yes to confirm without a terminal."""


class NoTexts(WrongUsage):
    """There is nothing to learn. Name files, or pipe a text in with --text -."""


class NoAccess(PolyscribeError):
    """There is no key that works."""

    exit_code = 4


class NotLoggedIn(NoAccess):
    """There is no API key. Run `polyscribe login`, or set POLYSCRIBE_BASE_URL and POLYSCRIBE_API_KEY."""


class BadKey(NoAccess):
    """The API key is invalid: it contains spaces or unexpected characters. Copy the complete key again."""


class KeyOfAnotherService(NoAccess):
    """The stored API key belongs to another address. Set POLYSCRIBE_API_KEY, or run `polyscribe login`."""


class LoginRefused(NoAccess):
    """The login was denied in the browser. Run `polyscribe login` to try again."""


class LoginExpired(NoAccess):
    """The login wasn't confirmed in time. Run `polyscribe login` to get a new code."""


class Unreachable(PolyscribeError):
    """The service isn't responding. Check the address and your network, then try again."""

    exit_code = 3


class StorageRefused(PolyscribeError):
    """The storage didn't accept part of a file. Run the same command again to resume where it stopped."""

    exit_code = 3


class DownloadFailed(PolyscribeError):
    """A downloaded file differs from the service's copy. Run the same command again."""


class FolderRejected(PolyscribeError):
    """This folder doesn't contain a valid adapter. Nothing was sent."""

    findings: Sequence[Object]


class FolderChanged(PolyscribeError):
    """The folder changed during the push, so the upload was discarded. Push it again when the folder is
    complete."""


class VersionNotServing(PolyscribeError):
    """The version was not accepted."""

    version: Object
    findings: Sequence[Object] = ()


class VersionRejected(VersionNotServing):
    """The version was rejected by the service's validation."""


class VersionFailed(VersionNotServing):
    """No engine could load the version."""


class NotServingYet(VersionNotServing):
    """The version wasn't ready within the push's timeout."""

    exit_code = 5


class TextsRefused(PolyscribeError):
    """None of the texts can be used."""

    documents: Sequence[Object]


class TrainingNotDone(PolyscribeError):
    """The training didn't end with a version."""

    training: Object


class TrainingFailed(TrainingNotDone):
    """The training failed."""


class TrainingCancelled(TrainingNotDone):
    """The training was cancelled. Completed steps are charged."""


class TrainingPaused(TrainingNotDone):
    """The training is paused. Resume it on its page, and follow it again with the same command."""

    exit_code = 5


class ApiError(PolyscribeError):
    """The service refused a request.

    `code` is for programs, `detail` for people; `errors` has `{field, code, message}` for each field that
    is not valid. `request_id` finds the request in the service's log.
    """

    status: int
    code: str
    errors: Sequence[Object]
    request_id: str

    def __init__(
        self, detail: str, *, status: int, code: str, errors: Sequence[Object] = (), request_id: str = ""
    ) -> None:
        super().__init__(detail, status=status, code=code, errors=list(errors), request_id=request_id)
        self.detail = detail


class NotAllowed(ApiError, NoAccess):
    """The key is invalid or lacks a scope (401, 403)."""


class NotFound(ApiError):
    """Not found in the workspace (404)."""


class Conflict(ApiError):
    """The object is in a conflicting state or has changed in the meantime (409, 412)."""


class RateLimited(ApiError):
    """Too many requests, or the monthly limit is reached (429)."""

    exit_code = 3


class Unavailable(ApiError):
    """Part of the service is unavailable (502, 503, 504)."""

    exit_code = 3


ERROR_OF_STATUS: dict[int, type[ApiError]] = {
    **dict.fromkeys((401, 403), NotAllowed),
    404: NotFound,
    **dict.fromkeys((409, 412), Conflict),
    429: RateLimited,
    **dict.fromkeys((502, 503, 504), Unavailable),
}
