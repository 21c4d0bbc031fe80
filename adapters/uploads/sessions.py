"""Upload sessions: a row first; then the client sends the files straight to S3, past this service.

It posts each file by a presigned form, or sends it in parts (parts.py).
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from adapters import object_store
from adapters.catalog.style_fields import SAMPLING
from adapters.errors import (
    NoBaseModel,
    NotUploaded,
    SlugTaken,
    StorageUnavailable,
    StyleRefused,
    UploadEnded,
    UploadRefused,
    VersionMoved,
)
from adapters.models import WORDS_CHARACTERS, AdapterVersion, BaseModel, Status, Style, VersionStep
from adapters.object_store import Upload
from adapters.routing import publisher
from adapters.uploads import parts
from adapters.uploads.upload_request import TEXTS, StyleDescription, request_faults, style_faults
from adapters.validation import Finding
from adapters.validation.limits import archive_of
from core import locks
from core.lifecycle import Step
from core.messages import Message
from events.models import EventType
from events.outbox import record_event
from tenants.models import Tenant, User

# The five steps of a version's life, as a page shows them.

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


@dataclass(frozen=True, kw_only=True)
class NamedStep(Step):
    """A step with its name for programs."""

    name: str


def steps_of(version: AdapterVersion, history: Iterable[VersionStep]) -> list[NamedStep]:
    """Return the five steps of a version, from its history, oldest first. No query is made."""
    reached_at = {Status(step.status): step.at for step in history}
    times = _step_times(reached_at)
    current = _current_step(version, reached_at)
    steps = []
    for number, (name, label) in enumerate(zip(STEP_NAMES, LABELS, strict=True)):
        state = _step_state(version, number, current)
        at = None if state == "next" else times[number]
        steps.append(NamedStep(str(label), state, at, _step_note(version, number, state), name=name))
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


CONVERSIONS = {  # by code: a name of ours, or the field of adapter_config.json that is corrected
    "names": _(
        "Renames the tensors to what engines expect: base_model.model.<module>.lora_A.weight and "
        "….lora_B.weight."
    ),
    "precision": _(
        "Rounds 64-bit weights, and 32-bit weights in a file that is too large, to bfloat16, the "
        "precision engines compute in."
    ),
    "ranks": _(
        "Pads layers with zeros if their rank is lower than adapter_config.json says. Their effect stays "
        "the same."
    ),
    "peft_type": _("Sets peft_type to LORA, which matches the tensors."),
    "r": _("Sets r to the rank of the tensors, as a whole number."),
    "lora_alpha": _("Changes lora_alpha from a string to a number."),
    "use_rslora": _("Changes use_rslora to true or false."),
    "target_modules": _("Sets target_modules to the modules that have weights."),
    "bias": _("Sets bias to none, because the adapter has no biases."),
    "base_model_name_or_path": _("Sets base_model_name_or_path to this service's name for the same model."),
}


def offered_conversions(version: AdapterVersion) -> list[str]:
    """Return what a conversion of a rejected version would do, a sentence for each correction."""
    return [str(CONVERSIONS[code]) for code in version.conversions] if version.is_convertible else []


ABANDONED_AFTER = timedelta(hours=24)
ABANDONED = Finding("abandoned")
CANCELLED = Finding("cancelled")
SENT_TOO_OFTEN = Finding("sent_too_often")
DELETED = Finding("deleted")  # never stored: a version that was deleted has no findings

type Method = Literal["post", "multipart"]

logger = logging.getLogger(__name__)


def begin_upload(
    tenant: Tenant,
    user: User | None,
    about: StyleDescription,
    files: dict[str, int],
    *,
    method: Method = "post",
) -> tuple[AdapterVersion, list[Upload]]:
    """Return a new version, of a new or an own style by that slug, and a POST form for each file.

    With the method "multipart" there are no forms: see `parts.look_at_parts`. Sends nothing to the storage.

    `files` is file name → size in bytes: the two files, or one archive, which is stored under a name of ours.
    Raises UploadRefused with every fault, or NoBaseModel.
    """
    base_model = _find_base_model()
    with transaction.atomic():
        lock_uploads(tenant.pk)
        own = Style.objects.filter(owner=tenant, slug=about.slug).first()
        faults = request_faults(tenant, own, about, files)
        if faults:
            raise UploadRefused(faults)
        if own:
            style = _update_style(own, about)
        else:
            texts = {field: getattr(about, field) for field in TEXTS}
            style = _insert_style(tenant, base_model, slug=about.slug, **texts)
        sizes = {archive_of(file) or file: size for file, size in files.items()}
        version = create_next_version(
            style,
            user,
            files=sizes,
            multipart=parts.plan_parts(sizes) if method == "multipart" else {},
            size_bytes=max(sizes.values()),
            stored_bytes=sum(sizes.values()),
            stated_quantisation=about.stated_quantisation,
            auto_promote=about.auto_promote,
        )
    if method == "multipart":
        return version, []
    smallest_first = sorted(sizes.items(), key=lambda item: item[1])  # its form is the first to expire
    forms = [object_store.presign(version.pk, file, size) for file, size in smallest_first]
    return version, forms


def create_style(tenant: Tenant, slug: str, words: Mapping[str, Any]) -> Style:
    """Return a new style without files; one by that slug that was deleted comes back with the new words.

    Raises StyleRefused with every fault, SlugTaken, or NoBaseModel.
    """
    base_model = _find_base_model()
    with transaction.atomic():
        lock_uploads(tenant.pk)
        own = Style.objects.filter(owner=tenant, slug=slug).first()
        if own and own.retired_at is None:
            raise SlugTaken(slug=slug, field="slug")
        faults = style_faults(tenant, own, slug, words)
        if faults:
            raise StyleRefused(faults)
        if own is None:
            return _insert_style(tenant, base_model, slug=slug, **words)
        texts: dict[str, Any] = dict.fromkeys(WORDS_CHARACTERS, "") | {"tags": [], "language": ""}
        texts |= dict.fromkeys(SAMPLING) | dict(words)
        Style.objects.filter(pk=own.pk).update(retired_at=None, changed_at=timezone.now(), **texts)
        publisher.mark_changed(own)
    own.refresh_from_db()
    return own


def find_or_create_style(tenant: Tenant, slug: str, *, name: str, sample_prompt: str = "") -> Style:
    """Return a workspace's style by that slug; a new one with these words where it has none.

    Raises StyleRefused with every fault, or NoBaseModel.
    """
    own = Style.objects.filter(owner=tenant, slug=slug, retired_at=None).first()
    return own or create_style(tenant, slug, {"name": name, "sample_prompt": sample_prompt})


def lock_uploads(tenant_id: UUID) -> None:
    """Wait for a tenant's lock of uploads, held until the transaction ends.

    Version numbers and the counts that the plan limits are exact while it is held.
    """
    locks.one_at_a_time(f"uploads {tenant_id}")


def create_next_version(style: Style, user: User | None, **facts: Any) -> AdapterVersion:
    """Return a new version of a style. The caller holds the owner's lock of uploads."""
    last_number = style.versions.aggregate(last=Max("number"))["last"] or 0
    version = style.versions.create(number=last_number + 1, created_by=user, **facts)
    version.history.create(status=Status.UPLOADING)
    return version


def finish_upload(version: AdapterVersion) -> None:
    """Accept a version whose files are uploaded. A second call does nothing.

    While the storage does not answer, the call is noted, and `pipeline` finishes the upload later.
    Raises NotUploaded naming the files, and of those that are sent in parts the parts, that are missing;
    UploadEnded for one that was cancelled, abandoned or deleted before it was finished.
    """
    uploading = AdapterVersion.objects.filter(pk=version.pk, status=Status.UPLOADING)
    uploading.filter(handed_in_at=None).update(handed_in_at=timezone.now())
    if not uploading.exists():
        _require_finished(version)
        return
    try:
        missing = parts.complete_files(version) if version.multipart else missing_files(version)
    except StorageUnavailable as error:
        version.wait(Message.of(error))
        return
    except VersionMoved:  # another call finished it, or it was deleted
        _require_finished(version)
        return
    if missing:
        fault = NotUploaded(files=" and ".join(missing))
        if uploading.update(handed_in_at=None, note=Message.of(fault)):
            raise fault
        _require_finished(version)  # the files are gone because it has moved on
    elif not _hand_in(version):
        _require_finished(version)


def _hand_in(version: AdapterVersion) -> bool:
    """Move a version on whose files are all there; return False if it has moved meanwhile.

    From now on its name is routed: requests for it wait instead of getting 404.
    """
    with transaction.atomic():
        if not version.move(before=Status.UPLOADING, after=Status.UPLOADED):
            return False
        publisher.mark_changed(version.style)
    return True


def _require_finished(version: AdapterVersion) -> None:
    """Raise UploadEnded for a version that is no longer being uploaded and whose upload never finished."""
    version.refresh_from_db(fields=["status", "note", "findings"])
    if version.history.filter(status=Status.UPLOADED).exists():
        return
    findings = version.findings or [DELETED]
    raise UploadEnded(reason=findings[0].sentence_message)


def abandon_old_uploads() -> None:
    """Reject uploads that were begun a day ago and never finished."""
    for version in AdapterVersion.objects.abandoned(timezone.now() - ABANDONED_AFTER):
        end_upload(version, ABANDONED)


def cancel_upload(version: AdapterVersion) -> bool:
    """Reject an upload that was not finished; return False if it was cancelled before.

    Raises VersionMoved for one that was finished.
    """
    if any(finding.code == CANCELLED.code for finding in version.findings):
        return False
    if version.handed_in_at or not end_upload(version, CANCELLED):
        raise VersionMoved
    return True


def missing_files(version: AdapterVersion) -> list[str]:
    missing = []
    for file, size in version.files.items():
        if object_store.uploaded_size(version.pk, file) != size:
            missing.append(file)
    return missing


def end_upload(version: AdapterVersion, finding: Finding) -> bool:
    """Reject an upload and delete what was posted; return False if it was finished meanwhile.

    What a storage that does not answer keeps is deleted later: see pruner.py.
    """
    with transaction.atomic():
        # The row's lock keeps `finish_upload` from noting the end of the upload at the same moment.
        unfinished = AdapterVersion.objects.filter(pk=version.pk, handed_in_at=None)
        if not unfinished.select_for_update(no_key=True).exists():
            return False
        is_ended = version.move(
            before=Status.UPLOADING, after=Status.REJECTED, findings=[finding], stored_bytes=0
        )
        if is_ended:
            record_event(version.style.owner_id, EventType.VERSION_REJECTED, version)
    if is_ended:
        try:
            object_store.erase(version.pk)
        except StorageUnavailable as error:
            logger.warning("%s: posted files are left for the pruner: %s", version, str(error))
    return is_ended


def _find_base_model() -> BaseModel:
    base_model = BaseModel.objects.filter(name=settings.BASE_MODEL).first()
    if base_model is None:
        raise NoBaseModel
    return base_model


def _insert_style(tenant: Tenant, base_model: BaseModel, **facts: Any) -> Style:
    """Return a new style, which its owner may use once the files of a version of it are all there."""
    style = Style.objects.create(owner=tenant, base_model=base_model, **facts)
    publisher.mark_libraries_changed([tenant.pk])
    return style


def _update_style(style: Style, about: StyleDescription) -> Style:
    """Change those texts of an own style that were given again; a deleted style comes back."""
    changes = {field: getattr(about, field) for field in TEXTS if getattr(about, field)}
    Style.objects.filter(pk=style.pk).update(retired_at=None, changed_at=timezone.now(), **changes)
    if style.retired_at:
        publisher.mark_changed(style)
    return style
