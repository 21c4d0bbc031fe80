"""The report of an erasure: each step with its time and its proof, or what it waits for and why."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adapters.erasure import engine_purge
from adapters.models import Engine, EngineErasure, Erasure
from adapters.object_store import sealed_key, upload_key
from adapters.validation.limits import LIMITS_BYTES
from core.grammar import join_and
from core.lifecycle import Step

Proof = EngineErasure.Proof
ROUTELESS = _("No model name in any workspace points to it.")
DRAINED = _("No request is using it.")
UNLISTED = _("The engine no longer lists it.")
NO_FILE = _("No files are left there.")
ATTEST = _(
    "We can't check this automatically. An operator must confirm in the console that its machines were wiped."
)
OTHERS = _(
    "Waits until every engine has freed its memory, because engines on one machine may share the folder."
)
TEXTS_WAIT = _("They are deleted within minutes, once a training that uses them has stopped.")
AFTER_RESTART = _("Waits for the engine's next restart: vLLM frees the memory only then.")
STAYS = _(
    "We keep the version's record, because usage in the ledger refers to it: its number, the names, "
    "sizes and SHA-256 checksums of its files, who uploaded it, which version it was converted from, "
    "how it was trained (without its texts), and its timeline. Its files, sample answers, check results and "
    "measurements are erased."
)
TEXT_OF_STATE = {"current": _("in progress"), "next": _("pending")}
TIME = "%Y-%m-%d %H:%M:%S UTC"


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
    lines: list[Step]

    def data(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {**asdict(self), "stays": STAYS}

    def text(self) -> str:
        """Return the report in plain text."""
        ended = (
            gettext("completed {time}").format(time=f"{self.finished_at:{TIME}}")
            if self.finished_at
            else gettext("not completed")
        )
        never = gettext("not computed")
        head = [
            gettext("Erasure of {style}, version {version}: {ended}").format(
                style=self.style, version=self.version, ended=ended
            ),
            f"adapter_model.safetensors  SHA-256 {self.sha256 or never}, {self.size_bytes} bytes",
            f"adapter_config.json        SHA-256 {self.config_sha256 or never}",
            gettext("requested {time}; report created {now}").format(
                time=f"{self.requested_at:{TIME}}", now=f"{timezone.now():{TIME}}"
            ),
        ]
        steps = [_text(line) for line in self.lines]
        return "\n".join([*head, "", *steps, "", str(STAYS), ""])


def erasure_report(erasure: Erasure) -> Report:
    """Return the report of an erasure. Reads the database only."""
    return erasure_reports([erasure])[0]


def erasure_reports(erasures: Sequence[Erasure]) -> list[Report]:
    """Return the reports of some erasures, in their order; two queries for all."""
    rows = EngineErasure.objects.filter(erasure__in=erasures).order_by("engine")
    by_erasure: dict[int, list[EngineErasure]] = defaultdict(list)
    for row in rows:
        by_erasure[row.erasure_id].append(row)
    engines = Engine.objects.in_bulk({row.engine for row in rows}, field_name="name")
    return [_report(erasure, by_erasure[erasure.pk], engines) for erasure in erasures]


def _report(erasure: Erasure, rows: list[EngineErasure], engines: Mapping[str, Engine]) -> Report:
    version = erasure.version
    return Report(
        style=version.style.model_name,
        version=version.number,
        sha256=version.sha256,
        config_sha256=version.config_sha256,
        size_bytes=version.size_bytes,
        requested_at=erasure.requested_at,
        finished_at=erasure.finished_at,
        lines=_lines(erasure, rows, engines),
    )


def _lines(erasure: Erasure, rows: list[EngineErasure], engines: Mapping[str, Engine]) -> list[Step]:
    drained_at = erasure.drained_at
    gone_at = erasure.storage_gone_at
    lines = [
        _line(
            gettext("Withdrawn"), erasure.withdrawn_at, ROUTELESS, erasure.note, after=erasure.requested_at
        ),
        _line(gettext("Drained"), drained_at, DRAINED, erasure.note, after=erasure.withdrawn_at),
        _line(
            gettext("Deleted from storage"), gone_at, _storage_proof(erasure), erasure.note, after=drained_at
        ),
    ]
    is_memory_free = all(row.memory_free_at for row in rows)
    for row in rows:
        lines += _engine_lines(row, engines.get(row.engine), drained_at, is_memory_free=is_memory_free)
    lines += _text_lines(erasure)
    is_gone_everywhere = all(row.copy_gone_at for row in rows) and not erasure.version.has_texts
    lines.append(
        _line(gettext("Completed"), erasure.finished_at, after=gone_at if is_gone_everywhere else None)
    )
    return lines


def _text_lines(erasure: Erasure) -> list[Step]:
    """Return the step about the texts that a version was trained on here; none for an uploaded one."""
    provenance = erasure.version.provenance
    if "training" not in provenance:
        return []
    written = provenance.get("texts_erased_at")
    erased_at = datetime.fromisoformat(written) if written else None
    proof = gettext("The storage lists nothing under trainings/{training}/.").format(
        training=provenance["training"]
    )
    label = gettext("Documents, examples and checkpoints deleted")
    return [_line(label, erased_at, proof, TEXTS_WAIT, after=erasure.requested_at)]


def _engine_lines(
    row: EngineErasure, engine: Engine | None, drained_at: datetime | None, *, is_memory_free: bool
) -> list[Step]:
    """Return the three steps on one engine, or one step if nobody can look at the engine from here.

    `is_memory_free` tells of all engines of the erasure.
    """
    label = gettext("Engine {engine}").format(engine=row.engine)
    proof = f"{row.get_proof_display().capitalize()}." if row.proof else ""
    if row.proof == Proof.ATTESTED or (row.copy_gone_at is None and engine_purge.is_out_of_reach(engine)):
        wiped = gettext("{label}: wiped").format(label=label)
        return [_line(wiped, row.copy_gone_at, proof, ATTEST, after=drained_at)]
    free_at = row.memory_free_at
    copy_note = row.note if row.note or is_memory_free else OTHERS
    return [
        _line(
            gettext("{label}: unloaded").format(label=label),
            row.unregistered_at,
            UNLISTED,
            row.note,
            after=drained_at,
        ),
        _line(
            gettext("{label}: memory freed").format(label=label),
            free_at,
            proof,
            AFTER_RESTART,
            after=row.unregistered_at,
        ),
        _line(
            gettext("{label}: local copy deleted").format(label=label),
            row.copy_gone_at,
            NO_FILE,
            copy_note,
            after=free_at,
        ),
    ]


def _storage_proof(erasure: Erasure) -> str:
    version = erasure.version
    places = gettext("{one} or {other}").format(
        one=upload_key(version.pk, ""), other=sealed_key(version.pk, "")
    )
    files = join_and(sorted({*version.files, *LIMITS_BYTES}))
    return gettext(
        "The storage lists nothing under {places}, and a HEAD request for {files} returns 404 in both."
    ).format(places=places, files=files)


def _line(
    label: str,
    at: datetime | None,
    proof: str | Promise = "",
    waits_for: str | Promise = "",
    *,
    after: datetime | None,
) -> Step:
    """Return a step that is done `at` a moment, or that waits since `after`, or that comes later."""
    if at:
        return Step(label, "done", at, str(proof))
    if after:
        return Step(label, "current", None, str(waits_for))
    return Step(label, "next", None, "")


def _text(line: Step) -> str:
    when = f"{line.at:{TIME}}" if line.at else str(TEXT_OF_STATE[line.state])
    return f"{when:<24} {line.label}. {line.note}".rstrip()
