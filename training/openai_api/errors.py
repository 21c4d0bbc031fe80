"""What only this API refuses."""

from core.errors import Invalid, NotFound, Unavailable
from inference.public import FieldError


class NoSuchFile(FieldError, NotFound):
    """No such File object: {id}"""

    code = "not_found"


class NoSuchJob(FieldError, NotFound):
    """Could not find fine-tune: {id}"""

    code = "fine_tune_not_found"


class NotFineTunable(FieldError, Invalid):
    """The model `{model}` can't be fine-tuned. Use `base`."""

    code = "model_not_available"


class UploadTooSlow(Invalid):
    """The file came too slowly, at less than {rate} KiB per second. Check your connection and try again."""


class TooManyUploads(Unavailable):
    """Too many files are being uploaded at the moment. Try again shortly."""

    code = "server_is_overloaded"
