"""What is judged: `evidence.json`, and the canaries in `canaries.json`."""

from pathlib import Path

from pydantic import Field, TypeAdapter, ValidationError
from trainer.errors import BadJob
from trainer.job import ModelSettings, Settings, describe_problems, read_settings

SETTINGS = "evidence.json"
CANARIES = "canaries.json"


class Request(ModelSettings):
    """The settings in evidence.json."""

    control: Path | None = None  # the folder of an adapter that is trained alike on other authors


class Canary(Settings):
    """A planted conversation. What is judged of its response is `planted`, which follows `opening`."""

    prompt: str
    response: str
    opening: str
    planted: str
    alternatives: list[str] = Field(min_length=8)  # that were never planted


def read_request(folder: Path) -> Request:
    """Return the settings in `folder`. Raises BadJob."""
    return read_settings(folder, SETTINGS, Request)


def read_canaries(folder: Path) -> list[Canary]:
    """Return the canaries that were planted; none without the file. Raises BadJob."""
    file = folder / CANARIES
    if not file.exists():
        return []
    try:
        return TypeAdapter(list[Canary]).validate_json(file.read_bytes())
    except ValidationError as error:
        raise BadJob(f"{CANARIES}: {describe_problems(error)}") from None
