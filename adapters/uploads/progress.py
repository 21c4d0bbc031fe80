"""The five steps of a version's life, as a page shows them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext_lazy as _

from adapters.models import AdapterVersion, Status, VersionStep

UPLOADING, UPLOADED, CHECKED, PUSHED, SERVING = range(5)
LABELS = (_("Uploading files"), _("Uploaded"), _("Checked"), _("Pushed to the engine"), _("Serving"))
STEP_NAMES = ("uploading", "uploaded", "checked", "pushed", "serving")  # as programs know them
NOTES = {  # of a current step that waits for nothing
    UPLOADING: _("Your browser is uploading the files directly to storage."),
    CHECKED: _("We're checking the names, shapes and weights against the base model."),
    PUSHED: _("We're copying the files to the engine, loading them and measuring their effect."),
}
CURRENT_STEP = {
    Status.UPLOADING: UPLOADING,
    Status.UPLOADED: CHECKED,
    Status.VALID: PUSHED,
    Status.PUSHING: PUSHED,
    Status.SERVING: len(LABELS),
    Status.FAILED: PUSHED,
}


@dataclass(frozen=True)
class Step:
    """One line of the list. `name` is for programs; `state` is done, current, next or failed."""

    name: str
    label: str
    state: str
    at: datetime | None
    note: str


def steps_of(version: AdapterVersion, history: Iterable[VersionStep]) -> list[Step]:
    """Return the five steps of a version, from its history, oldest first. No query is made."""
    reached_at = {Status(step.status): step.at for step in history}
    times = _step_times(reached_at)
    current = _current_step(version, reached_at)
    steps = []
    for number, (name, label) in enumerate(zip(STEP_NAMES, LABELS, strict=True)):
        state = _step_state(version, number, current)
        at = None if state == "next" else times[number]
        steps.append(Step(name, str(label), state, at, _step_note(version, number, state)))
    return steps


def _step_times(reached_at: dict[Status, datetime]) -> list[datetime | None]:
    serving_at = reached_at.get(Status.SERVING)
    return [
        reached_at.get(Status.UPLOADING),
        reached_at.get(Status.UPLOADED),
        reached_at.get(Status.VALID) or reached_at.get(Status.REJECTED),
        serving_at or reached_at.get(Status.FAILED),
        serving_at,
    ]


def _current_step(version: AdapterVersion, reached_at: dict[Status, datetime]) -> int:
    """Return the step that a version is in, or in which it failed; five when it has been through all."""
    current = CURRENT_STEP.get(Status(version.status))
    if current is not None:
        return current
    # A rejected or retired version got as far as its history says.
    return max((CURRENT_STEP.get(status, UPLOADING) for status in reached_at), default=UPLOADING)


def _step_state(version: AdapterVersion, number: int, current: int) -> str:
    if number < current:
        return "done"
    if number > current or version.status == Status.RETIRED:
        return "next"
    return "failed" if version.status in (Status.REJECTED, Status.FAILED) else "current"


def _step_note(version: AdapterVersion, number: int, state: str) -> str:
    if state == "current":
        return str(version.note) or str(NOTES.get(number, ""))
    if state == "done" and number == SERVING:
        return str(version.note)
    return ""
