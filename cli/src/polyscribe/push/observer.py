"""Who watches a push. This one is silent; the command line's draws a progress bar."""

from polyscribe.objects import Object


class PushObserver:
    """Is told what a push does. Files are sent by several threads, so `bytes_sent` is called from all."""

    def upload_began(self, version: str, *, total_bytes: int, stored_bytes: int) -> None:
        """Files of `total_bytes` are sent as `version`; of these the storage has `stored_bytes` already."""

    def bytes_sent(self, count: int) -> None:
        """`count` more bytes were sent; a negative count: a part is sent again from its beginning."""

    def upload_ended(self) -> None:
        """Every part is in the storage, or the upload failed."""

    def step_changed(self, step: Object) -> None:
        """A step of the version has another state or note: `label`, `state`, `note`."""
