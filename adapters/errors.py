"""What can go wrong with styles and engines."""

from foundation.errors import Conflict, DomainError, Invalid, NotFound, Unavailable


class StorageUnavailable(Unavailable):
    """The storage does not answer; this goes on by itself when it is back."""

    code = "storage_unavailable"


class NotStored(NotFound):
    """The storage has no {file} for this version."""

    code = "not_stored"


class NotTheCheckedFile(Conflict):
    """The stored {file} is not the one that was checked; upload the adapter again."""

    code = "not_the_checked_file"


class DiskUnavailable(Unavailable):
    """The engine's disk takes no files just now; this goes on by itself when it does again."""

    code = "disk_unavailable"


class EngineUnavailable(Unavailable):
    """The engine does not answer; this goes on by itself when it is back."""

    code = "engine_unavailable"


class EngineRefused(DomainError):
    """The engine refused the adapter: {reason}"""

    code = "engine_refused"


class NoBaseModel(Unavailable):
    """No base model is registered yet to check an adapter against; run `manage.py registerengine`."""

    code = "no_base_model"


class StyleNotFound(NotFound):
    """There is no style by that name."""

    code = "style_not_found"


class NotUploaded(Invalid):
    """{files} has not arrived completely; choose the files again."""

    code = "not_uploaded"


class UploadRefused(Invalid):
    """The upload can't begin; see the notes beside the fields."""

    code = "upload_refused"

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__()
        self.errors = errors


class VersionMoved(Conflict):
    """This version has moved on meanwhile; reload the page."""

    code = "version_moved"
