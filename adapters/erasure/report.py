"""The report of an erasure: each step with its time and its proof, and what is still waited for and why."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from adapters.erasure import engine_purge
from adapters.models import Engine, EngineErasure, Erasure
from adapters.object_store import sealed_key, upload_key
from adapters.validation.limits import LIMITS_BYTES

Proof = EngineErasure.Proof
ROUTELESS = "No model name of any workspace leads to it."
DRAINED = "No request is in flight on it."
UNLISTED = "The engine's own list does not name it."
NO_FILE = "No file of it is left there."
VOUCH = "Nobody can look at it from here: an operator vouches in the console that its machines were wiped."
OTHERS = "It goes when the memory of every engine is free: engines on one machine may share the folder."
STAYS = (
    "What stays is the row of the version, since the ledger of what was used names it: its number, the "
    "names, sizes and SHA-256 sums of its files, who uploaded it, which version it was converted from, and "
    "when each step of its life was. Its files, its sample answers and all that was found and measured of it "
    "go."
)
TIME = "%Y-%m-%d %H:%M:%S UTC"


@dataclass(frozen=True)
class Line:
    """One step. `state` is done, current or next; `note` is the proof, or what it waits for."""

    label: str
    state: str
    at: datetime | None
    note: str


@dataclass(frozen=True)
class Report:
    """An erasure as people read it."""

    style: str
    version: int
    sha256: str
    config_sha256: str
    size_bytes: int
    requested_at: datetime
    finished_at: datetime | None
    lines: list[Line]

    def data(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {**asdict(self), "stays": STAYS}

    def text(self) -> str:
        """Return the report in plain text."""
        ended = f"finished {self.finished_at:{TIME}}" if self.finished_at else "not finished"
        head = [
            f"Erasure of {self.style}, version {self.version}: {ended}",
            f"adapter_model.safetensors  SHA-256 {self.sha256 or 'never computed'}, {self.size_bytes} bytes",
            f"adapter_config.json        SHA-256 {self.config_sha256 or 'never computed'}",
            f"requested {self.requested_at:{TIME}}; this report is of {timezone.now():{TIME}}",
        ]
        return "\n".join([*head, "", *map(_written, self.lines), "", STAYS, ""])


def erasure_report(erasure: Erasure) -> Report:
    """Return the report of an erasure. Asks the database only."""
    version = erasure.version
    return Report(
        style=version.style.model_name,
        version=version.number,
        sha256=version.sha256,
        config_sha256=version.config_sha256,
        size_bytes=version.size_bytes,
        requested_at=erasure.requested_at,
        finished_at=erasure.finished_at,
        lines=_lines(erasure),
    )


def _lines(erasure: Erasure) -> list[Line]:
    rows = list(erasure.engines.order_by("engine"))
    known = Engine.objects.in_bulk([row.engine for row in rows], field_name="name")
    all_free = all(row.memory_free_at for row in rows)
    withdrawn, drained, gone, note = (
        erasure.withdrawn_at, erasure.drained_at, erasure.storage_gone_at, erasure.note,
    )  # fmt: skip
    lines = [
        _line("Withdrawn", withdrawn, proof=ROUTELESS, waits_for=note, after=erasure.requested_at),
        _line("Drained", drained, proof=DRAINED, waits_for=note, after=withdrawn),
        _line("Gone from the storage", gone, proof=_keys(erasure), waits_for=note, after=drained),
    ]
    for row in rows:
        lines += _engine_lines(row, known.get(row.engine), after=drained, all_free=all_free)
    ready = gone if all(row.copy_gone_at for row in rows) else None
    return [*lines, _line("Finished", erasure.finished_at, after=ready)]


def _engine_lines(
    row: EngineErasure, engine: Engine | None, *, after: datetime | None, all_free: bool
) -> list[Line]:
    """Return the three steps on one engine, or one if nobody can look at it from here."""
    label, gone = f"Engine {row.engine}", row.copy_gone_at
    proof = f"{row.get_proof_display().capitalize()}." if row.proof else ""
    if row.proof == Proof.VOUCHED or (gone is None and engine_purge.is_out_of_reach(engine)):
        return [_line(f"{label}: wiped", gone, proof=proof, waits_for=VOUCH, after=after)]
    unlisted, free = row.unregistered_at, row.memory_free_at
    waits = _memory_note(row, engine) if engine else ""
    copy = row.note or ("" if all_free else OTHERS)
    return [
        _line(f"{label}: forgotten", unlisted, proof=UNLISTED, waits_for=row.note, after=after),
        _line(f"{label}: memory free", free, proof=proof, waits_for=waits, after=unlisted),
        _line(f"{label}: local copy deleted", gone, proof=NO_FILE, waits_for=copy, after=free),
    ]


def _memory_note(row: EngineErasure, engine: Engine) -> str:
    if row.unregistered_at is None or row.memory_free_at:
        return ""
    left = row.loads_before + engine.max_cpu_loras - engine_purge.loads_of(engine)
    counts_from = row.unregistered_at + engine_purge.DRAIN_GRACE
    since = f", counted from {counts_from:%H:%M} UTC" if counts_from > timezone.now() else ""
    return f"The engine's memory is free after its next restart or {left:,} more loads of adapters{since}."


def _keys(erasure: Erasure) -> str:
    version = erasure.version
    places = " or ".join(key(version.pk, "") for key in (upload_key, sealed_key))
    files = " and ".join(sorted({*version.files, *LIMITS_BYTES}))
    return f"It lists nothing under {places} and answers 404 to a HEAD of {files} in both."


def _line(
    label: str,
    at: datetime | None,
    *,
    proof: str = "",
    waits_for: str = "",
    after: datetime | None,
) -> Line:
    if at:
        return Line(label, "done", at, proof)
    return Line(label, "current", None, waits_for) if after else Line(label, "next", None, "")


def _written(line: Line) -> str:
    when = f"{line.at:{TIME}}" if line.at else {"current": "in progress", "next": "to come"}[line.state]
    return f"{when:<24} {line.label}. {line.note}".rstrip()
