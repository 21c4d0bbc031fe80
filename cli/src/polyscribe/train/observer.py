"""Who watches a training. This one is silent; the command line's draws a progress bar."""

from polyscribe.objects import Object


class TrainingObserver:
    """Is told how far a training is."""

    def files_began(self, *, total_bytes: int) -> None:
        """Files of so many bytes are sent."""

    def bytes_sent(self, count: int) -> None:
        """`count` more bytes were sent."""

    def files_ended(self) -> None:
        """Every file is in the storage, or sending failed."""

    def status_changed(self, training: Object) -> None:
        """The training has another status or note."""

    def progressed(self, training: Object) -> None:
        """The training was looked at again: `percent`, `left_s`, `training_loss` and so on."""

    def ended(self) -> None:
        """Nobody follows it any more."""
