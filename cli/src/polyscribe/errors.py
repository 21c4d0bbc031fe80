"""Everything that can go wrong, as one tree. The docstring is the message unless another one is given."""

from collections.abc import Sequence
from typing import Any

Object = dict[str, Any]  # what the API answers: docs/api.md describes the fields


class PolyscribeError(Exception):
    """Something went wrong."""

    exit_code = 1  # of the command line; docs/cli.md lists the codes

    def __init__(self, message: str = "") -> None:
        self.message = message or " ".join((type(self).__doc__ or "").split())
        super().__init__(self.message)


class NotLoggedIn(PolyscribeError):
    """There is no API key. Run `polyscribe login`, or set POLYSCRIBE_BASE_URL and POLYSCRIBE_API_KEY."""

    exit_code = 4


class BadKey(PolyscribeError):
    """The API key is invalid: it contains spaces or unexpected characters. Copy the complete key again."""

    exit_code = 4


class BadAddress(PolyscribeError):
    """The service's address is invalid. Use the form https://polyscribe.example.com."""

    exit_code = 2


class KeyOfAnotherService(PolyscribeError):
    """The stored API key belongs to another address. Set POLYSCRIBE_API_KEY, or run `polyscribe login`."""

    exit_code = 4


class BadSettings(PolyscribeError):
    """The settings file can't be read. Run `polyscribe login` to recreate it."""

    exit_code = 2


class NoSuchProfile(PolyscribeError):
    """There is no profile with that name. See `polyscribe profiles list`."""

    exit_code = 2


class NotConfirmed(PolyscribeError):
    """This can't be undone and needs confirmation. Add --yes to confirm without a terminal."""

    exit_code = 2


class LoginRefused(PolyscribeError):
    """The login was denied in the browser. Run `polyscribe login` to try again."""

    exit_code = 4


class LoginExpired(PolyscribeError):
    """The login wasn't confirmed in time. Run `polyscribe login` to get a new code."""

    exit_code = 4


class DownloadFailed(PolyscribeError):
    """A downloaded file differs from the service's copy. Run the same command again."""


class Unreachable(PolyscribeError):
    """The service isn't responding. Check the address and your network, then try again."""

    exit_code = 3


class StorageRefused(PolyscribeError):
    """The storage didn't accept part of a file. Run the same command again to resume where it stopped."""

    exit_code = 3


class FolderRejected(PolyscribeError):
    """This folder doesn't contain a valid adapter. Nothing was sent."""

    def __init__(self, findings: Sequence[Object]) -> None:
        super().__init__()
        self.findings = list(findings)


class FolderChanged(PolyscribeError):
    """The folder changed during the push, so the upload was discarded. Push it again when the folder is
    complete."""


class VersionNotServing(PolyscribeError):
    """The version was not accepted."""

    def __init__(self, message: str, *, version: Object, findings: Sequence[Object] = ()) -> None:
        super().__init__(message)
        self.version = dict(version)
        self.findings = list(findings)


class VersionRejected(VersionNotServing):
    """The version was rejected by the service's validation."""


class VersionFailed(VersionNotServing):
    """No engine could load the version."""


class NotServingYet(VersionNotServing):
    """The version wasn't ready within the push's timeout."""

    exit_code = 5


class NoTexts(PolyscribeError):
    """There is nothing to learn. Name files, or pipe a text in with --text -."""

    exit_code = 2


class TextsRefused(PolyscribeError):
    """None of the texts can be used."""

    def __init__(self, message: str = "", *, documents: Sequence[Object] = ()) -> None:
        super().__init__(message)
        self.documents = [dict(document) for document in documents]


class TrainingNotDone(PolyscribeError):
    """The training didn't end with a version."""

    def __init__(self, message: str = "", *, training: Object) -> None:
        super().__init__(message)
        self.training = dict(training)


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

    def __init__(
        self,
        detail: str,
        *,
        status: int,
        code: str = "",
        errors: Sequence[Object] = (),
        request_id: str = "",
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.code = code
        self.errors = [dict(error) for error in errors]
        self.request_id = request_id


class NotAllowed(ApiError):
    """The key is invalid or lacks a scope (401, 403)."""

    exit_code = 4


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
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    429: RateLimited,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
