"""The five steps of a version's life as a page shows them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from adapters.models import AdapterVersion, Status, VersionStep

UPLOADING, UPLOADED, CHECKED, PUSHED, SERVING = range(5)
LABELS = ("Uploading files", "Uploaded", "Checked", "Pushed to the engine", "Serving")
NOTES = {  # what is happening, where nothing holds it up
    UPLOADING: "The files go straight from the browser to the storage.",
    CHECKED: "Reading names, shapes and every weight, and comparing them with the base model.",
    PUSHED: "Copying the files beside the engine, loading them, and measuring what they change.",
}
CURRENT = {
    Status.UPLOADING: UPLOADING,
    Status.UPLOADED: CHECKED,
    Status.VALID: PUSHED,
    Status.PUSHING: PUSHED,
    Status.SERVING: len(LABELS),
}


@dataclass(frozen=True)
class Step:
    """One line of the list. `state` is done, current, next or failed."""

    label: str
    state: str
    at: datetime | None
    note: str


def steps_of(version: AdapterVersion, history: Iterable[VersionStep]) -> list[Step]:
    """Return the five steps of a version, from its history, oldest first. Asks nobody."""
    reached = {Status(step.status): step.at for step in history}
    moments = _moments(reached)
    here = _here(version, reached)
    return [
        Step(label, state, moments[at] if state != "next" else None, _note(version, at, state))
        for at, label in enumerate(LABELS)
        for state in [_state(version, at, here)]
    ]


def _moments(reached: dict[Status, datetime]) -> list[datetime | None]:
    refused = reached.get(Status.REJECTED)
    serving = reached.get(Status.SERVING)
    return [
        reached.get(Status.UPLOADING),
        reached.get(Status.UPLOADED),
        reached.get(Status.VALID) or refused,
        serving or reached.get(Status.FAILED),
        serving,
    ]


def _here(version: AdapterVersion, reached: dict[Status, datetime]) -> int:
    """Return the step that a version is in, or got stuck in; five when it has been through all."""
    if version.status == Status.FAILED:
        return PUSHED
    if version.status == Status.REJECTED:
        return CHECKED if Status.UPLOADED in reached else UPLOADING
    if version.status == Status.RETIRED:
        return max((CURRENT[status] for status in reached if status in CURRENT), default=UPLOADING)
    return CURRENT[Status(version.status)]


def _state(version: AdapterVersion, at: int, here: int) -> str:
    if at < here:
        return "done"
    if at > here or version.status == Status.RETIRED:
        return "next"
    return "failed" if version.status in (Status.REJECTED, Status.FAILED) else "current"


def _note(version: AdapterVersion, at: int, state: str) -> str:
    if at == SERVING and state == "done":
        return version.note
    return (version.note or NOTES.get(at, "")) if state == "current" else ""
