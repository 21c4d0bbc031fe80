"""What a push is asked to do."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PushRequest:
    """A folder, the style that it is a version of, and what happens once the version serves."""

    folder: Path
    style: str  # its full name, or its id
    name: str = ""  # of a style that is new
    description: str = ""
    sample_prompt: str = ""
    quantisation: str = ""  # of the base that it was trained on: none, 4-bit, 8-bit, other; empty: unknown
    promote: bool = True
    canary_percent: int | None = None
    timeout_s: float | None = (
        None  # to wait, once all is sent, until the version serves; None: as long as it takes
    )

    @property
    def auto_promote(self) -> bool:
        """Return whether the version answers all requests as soon as it serves."""
        return self.promote and self.canary_percent is None
