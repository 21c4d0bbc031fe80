"""Uploads: a row and presigned POSTs first, then the browser sends the files straight to S3."""

import logging
import re
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, Max, OuterRef, QuerySet
from django.utils import timezone

from adapters import object_store
from adapters.errors import NoBaseModel, NotUploaded, StorageUnavailable, UploadRefused, VersionMoved
from adapters.models import AdapterVersion, BaseModel, Status, Style
from adapters.object_store import Upload
from adapters.routing import publisher
from adapters.uploads import storage_quota
from adapters.validation import Finding
from adapters.validation.limits import (
    ARCHIVE_LIMIT,
    CONFIG_FILE,
    LIMITS_BYTES,
    PICKLES,
    WEIGHTS_FILE,
    archive_of,
)
from foundation import locks
from foundation.names import reads_as_product, validate_name, validate_text
from tenants.public import Tenant, User, limits_of

MIB = 1024 * 1024
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
RESERVED = frozenset({"base", "identity"})
ABANDONED_AFTER = timedelta(hours=24)
ABANDONED = Finding(
    "abandoned",
    "The upload was begun more than 24 hours ago and never completed.",
    "Upload the adapter again.",
)
CANCELLED = Finding(
    "cancelled", "The upload was cancelled before it was complete.", "Upload the adapter again."
)

# As wide as the columns of Style.
TEXTS_CHARACTERS = {"name": 60, "description": 300, "sample_prompt": 300, "sample": 500}

# The base that was trained on, as people state it; empty: they don't say.
QUANTISATIONS = ("", "none", "4-bit", "8-bit", "other")

CHOICE = f"{CONFIG_FILE} and {WEIGHTS_FILE}, or one .zip, .tar or .tar.gz of both"

logger = logging.getLogger(__name__)

type Errors = dict[str, list[str]]


@dataclass(frozen=True)
class StyleDescription:
    """What people say about a style, and about the version of it that they upload."""

    slug: str
    name: str = ""
    description: str = ""
    sample_prompt: str = ""
    sample: str = ""
    stated_quantisation: str = ""  # one of QUANTISATIONS
    goes_live: bool = True  # as soon as it serves; else it waits to be promoted


def begin_upload(
    tenant: Tenant, user: User | None, about: StyleDescription, files: dict[str, int]
) -> tuple[AdapterVersion, list[Upload]]:
    """Return a new version, of a new or an own style by that slug, and a POST form for each file.

    `files` is file name → size in bytes: the two files, or one archive, which is kept under a name of ours.
    Raises UploadRefused with every fault, or NoBaseModel.
    """
    base_model = BaseModel.objects.filter(name=settings.BASE_MODEL).first()
    if base_model is None:
        raise NoBaseModel
    with transaction.atomic():
        locks.one_at_a_time(lock_of(tenant.pk))
        own = Style.objects.filter(owner=tenant, slug=about.slug).first()
        if errors := _faults(tenant, own, about, files):
            raise UploadRefused(errors)
        style = _restyled(own, about) if own else _new_style(tenant, base_model, about)
        kept = {archive_of(file) or file: size for file, size in files.items()}
        version = next_version(
            style,
            user,
            files=kept,
            size_bytes=max(kept.values()),
            stored_bytes=sum(kept.values()),
            stated_quantisation=about.stated_quantisation,
            goes_live=about.goes_live,
        )
    smallest_first = sorted(kept.items(), key=lambda file: file[1])  # its form is the first to expire
    return version, [object_store.presign(version.pk, file, size) for file, size in smallest_first]


def lock_of(tenant_id: object) -> str:
    """Return the deed that one process at a time does: numbers and the plan's count are taken in turn."""
    return f"uploads {tenant_id}"


def next_version(style: Style, user: User | None, **facts: Any) -> AdapterVersion:
    """Return a new version of a style; for who has its owner's lock."""
    last = style.versions.aggregate(last=Max("number"))["last"] or 0
    version = style.versions.create(number=last + 1, created_by=user, **facts)
    version.history.create(status=Status.UPLOADING)
    return version


def finish_upload(version: AdapterVersion) -> None:
    """Hand a version in once its files are uploaded. Handing in twice does nothing.

    When the storage does not answer, this is noted and done later. Raises NotUploaded naming what is missing.
    """
    if version.status != Status.UPLOADING:
        return
    waiting = AdapterVersion.objects.filter(pk=version.pk, status=Status.UPLOADING)
    waiting.filter(handed_in_at=None).update(handed_in_at=timezone.now())
    try:
        sizes = {file: object_store.uploaded_size(version.pk, file) for file in version.files}
    except StorageUnavailable as error:
        version.wait(error.message)
        return
    missing = [file for file, size in version.files.items() if sizes[file] != size]
    if missing:
        fault = NotUploaded(files=" and ".join(missing))
        waiting.update(handed_in_at=None, note=fault.message)
        raise fault
    version.move(before=Status.UPLOADING, after=Status.UPLOADED)


def abandon_old_uploads() -> int:
    """Reject uploads that were begun a day ago and never handed in; return how many."""
    old = AdapterVersion.objects.abandoned(timezone.now() - ABANDONED_AFTER)
    return sum(_end(version, ABANDONED) for version in old)


def cancel_upload(version: AdapterVersion) -> None:
    """End an own upload that was not handed in. Raises VersionMoved for one that was."""
    if version.handed_in_at or not _end(version, CANCELLED):
        raise VersionMoved


def _end(version: AdapterVersion, finding: Finding) -> bool:
    """Reject an upload that was not handed in and delete what was posted; return False if it was meanwhile.

    Where the storage does not answer, the pruner deletes it later: see pruner.py.
    """
    with transaction.atomic():
        held = AdapterVersion.objects.select_for_update(no_key=True).filter(pk=version.pk, handed_in_at=None)
        if not held.exists():
            return False
        told = [asdict(finding)]
        is_ended = version.move(before=Status.UPLOADING, after=Status.REJECTED, findings=told, stored_bytes=0)
    if is_ended:
        try:
            object_store.erase(version.pk)
        except StorageUnavailable as error:
            logger.warning("%s: what was posted stays for the pruner: %s", version, error.message)
    return is_ended


def _new_style(tenant: Tenant, base_model: BaseModel, about: StyleDescription) -> Style:
    return Style.objects.create(
        owner=tenant,
        slug=about.slug,
        name=about.name,
        description=about.description,
        sample_prompt=about.sample_prompt,
        sample=about.sample,
        base_model=base_model,
    )


def _restyled(style: Style, about: StyleDescription) -> Style:
    """Return an own style with those texts that were given anew; a retired one comes back."""
    given = {field: getattr(about, field) for field in TEXTS_CHARACTERS}
    given = {field: text for field, text in given.items() if text}
    Style.objects.filter(pk=style.pk).update(retired_at=None, changed_at=timezone.now(), **given)
    if style.retired_at:
        publisher.mark_changed(style)
    return style


def _faults(tenant: Tenant, own: Style | None, about: StyleDescription, files: dict[str, int]) -> Errors:
    errors = {"slug": _slug_faults(tenant, own, about.slug), "files": file_faults(files)}
    errors["files"] = errors["files"] or _storage_faults(tenant, files)
    errors |= _text_faults(about, own)
    if not tenant.is_first_party and reads_as_product(about.name):
        errors["name"] = ["That name reads as Polyscribe's own. Choose another one."]
    if about.stated_quantisation not in QUANTISATIONS:
        errors["stated_quantisation"] = [f"Say one of {', '.join(filter(None, QUANTISATIONS))}, or nothing."]
    if not errors["slug"]:
        errors["slug"] = _plan_faults(tenant, own)
    return {field: sentences for field, sentences in errors.items() if sentences}


def _slug_faults(tenant: Tenant, own: Style | None, slug: str) -> list[str]:
    if not slug:
        return ["Give the style a short name: programs write it in `model=`. For example brand-voice."]
    if not SLUG.fullmatch(slug):
        return ["Use at most 40 small letters, digits and hyphens, for example brand-voice."]
    taken_by_first_party = (
        own is None and Style.objects.filter(owner__is_first_party=True, slug=slug).exists()
    )
    if slug in RESERVED or ((taken_by_first_party or reads_as_product(slug)) and not tenant.is_first_party):
        return [f"“{slug}” is taken by Polyscribe itself. Choose another name, for example my-{slug}."[:200]]
    return []


def _text_faults(about: StyleDescription, own: Style | None) -> Errors:
    errors: Errors = {}
    if not about.name and own is None:
        errors["name"] = ["Give the style a name, for example Brand voice."]
    for field, limit in TEXTS_CHARACTERS.items():
        if len(getattr(about, field)) > limit:
            errors[field] = [f"At most {limit} characters; this has {len(getattr(about, field))}."]
        elif fault := _hidden_fault(field, getattr(about, field)):
            errors[field] = [fault]
    return errors


def _hidden_fault(field: str, text: str) -> str:
    """Return why a text has characters that make it look like another one, or ""."""
    try:
        (validate_name if field == "name" else validate_text)(text)
    except ValidationError as error:
        return str(error.message)
    return ""


def _storage_faults(tenant: Tenant, files: dict[str, int]) -> list[str]:
    if tenant.is_first_party:
        return []
    return storage_quota.storage_of(tenant).faults(sum(files.values()))


def _counted(tenant: Tenant) -> QuerySet[Style]:
    """Return the private styles that count against a plan: whose uploads were not all rejected."""
    kept = AdapterVersion.objects.filter(style=OuterRef("pk")).exclude(status=Status.REJECTED)
    return Style.objects.filter(Exists(kept), owner=tenant, is_public=False, retired_at=None)


def _plan_faults(tenant: Tenant, style: Style | None) -> list[str]:
    counted = set(_counted(tenant).values_list("pk", flat=True))
    if tenant.is_first_party or (style and (style.is_public or style.pk in counted)):
        return []
    limits, own = limits_of(tenant, timezone.now()), len(counted)
    if own < limits.private_styles:
        return []
    return [
        f"Your plan holds {limits.private_styles} private styles and you have {own}. "
        "Upload a new version of one of them, or change the plan."
    ]


def file_faults(files: dict[str, int]) -> list[str]:
    """Return what is wrong with the names and sizes of what is to be uploaded, a sentence a fault."""
    if any(archive_of(file) for file in files):
        return _archive_faults(files)
    faults = [_name_fault(file) for file in files if file not in LIMITS_BYTES]
    faults += [_size_fault(file, files[file], LIMITS_BYTES[file]) for file in LIMITS_BYTES if file in files]
    missing = [file for file in LIMITS_BYTES if file not in files]
    if missing:
        faults.append(f"{' and '.join(missing)} missing: choose {CHOICE}.")
    return [fault for fault in faults if fault]


def _archive_faults(files: dict[str, int]) -> list[str]:
    if len(files) > 1:
        return [f"An archive is chosen beside other files: choose {CHOICE}."]
    ((file, size),) = files.items()
    fault = _size_fault(file[:80], size, ARCHIVE_LIMIT)
    return [fault] if fault else []


def _name_fault(file: str) -> str:
    shown = file[:80]
    if PurePosixPath(file).suffix.lower() in PICKLES:
        return (
            f"{shown} is a pickle file, which can run code when it is opened. "
            f"Save the adapter with save_pretrained(…, safe_serialization=True) and choose {WEIGHTS_FILE}."
        )
    return f"{shown} is not taken. Choose {CHOICE}."


def _size_fault(file: str, size: int, limit: int) -> str:
    if size <= 0:
        return f"{file} is empty. Save the adapter again and choose the new file."
    if size > limit:
        return (
            f"{file} has {_amount(size)}; at most {_amount(limit)} are taken. "
            "Train with a smaller rank, or save the weights in bfloat16."
        )
    return ""


def _amount(size: int) -> str:
    return f"{size / MIB:,.1f} MiB" if size >= MIB else f"{size / 1024:,.1f} KiB"
