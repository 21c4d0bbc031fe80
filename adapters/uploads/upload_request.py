"""Upload requests: what people describe and send, and what is wrong with it, a sentence for each fault."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adapters.catalog.style_fields import Faults, word_faults
from adapters.models import SLUG_CHARACTERS, Style
from adapters.uploads import storage_quota
from adapters.validation.limits import (
    ARCHIVE_LIMIT,
    CONFIG_FILE,
    LIMITS_BYTES,
    PICKLE_ENDINGS,
    WEIGHTS_FILE,
    archive_of,
)
from core.grammar import join_and
from core.names import reads_as_product
from core.sizes import MIB
from metering.plans import limits_of
from tenants.models import Tenant

KIB = 1024
SLUG = re.compile(rf"[a-z0-9](?:[a-z0-9-]{{0,{SLUG_CHARACTERS - 2}}}[a-z0-9])?")
RESERVED_SLUGS = frozenset({"base"})

TEXTS = ("name", "description", "sample_prompt", "sample")  # of a style, that an upload may give

# The state of the base that the adapter was trained on, as people state it; empty: they don't say.
QUANTISATIONS = ("", "none", "4-bit", "8-bit", "other")

NAME_MISSING = _("Give the style a name, such as Brand voice.")
CHOICE = format_lazy(
    _("{config} and {weights}, or one .zip, .tar or .tar.gz of both"),
    config=CONFIG_FILE,
    weights=WEIGHTS_FILE,
)


@dataclass(frozen=True)
class StyleDescription:
    """What people say about a style, and about the version of it that they upload."""

    slug: str
    name: str = ""
    description: str = ""
    sample_prompt: str = ""
    sample: str = ""
    stated_quantisation: str = ""  # one of QUANTISATIONS
    auto_promote: bool = True  # as soon as it serves; else it waits to be promoted


def style_faults(
    tenant: Tenant, own: Style | None, slug: str, words: Mapping[str, Any], *, needs_name: bool = True
) -> Faults:
    """Return what is wrong with a style, by field. `own` is the tenant's by that slug, if any.

    Exact while the tenant's lock of uploads is held.
    """
    faults = word_faults(tenant, words)
    if needs_name and not words.get("name"):
        faults["name"] = [str(NAME_MISSING)]
    slug_faults = _slug_faults(tenant, own, slug) or _style_count_faults(tenant, own)
    return {"slug": slug_faults} | faults if slug_faults else faults


def request_faults(
    tenant: Tenant, own: Style | None, about: StyleDescription, files: dict[str, int]
) -> Faults:
    """Return what is wrong with an upload, by form field. `own` is the tenant's style by that slug, if any.

    Exact while the tenant's lock of uploads is held.
    """
    words = {field: getattr(about, field) for field in TEXTS}
    faults = style_faults(tenant, own, about.slug, words, needs_name=own is None)
    if found := file_faults(files) or _storage_faults(tenant, files):
        faults["files"] = found
    if about.stated_quantisation not in QUANTISATIONS:
        known = ", ".join(filter(None, QUANTISATIONS))
        faults["stated_quantisation"] = [
            gettext("Use one of {known}, or leave it empty.").format(known=known)
        ]
    return faults


def file_faults(files: dict[str, int]) -> list[str]:
    """Return what is wrong with the names and sizes of the files, a sentence for each fault."""
    if any(archive_of(file) for file in files):
        return _archive_faults(files)
    faults = []
    for file in files:
        if file not in LIMITS_BYTES:
            faults.append(_file_name_fault(file))
    for file, limit_bytes in LIMITS_BYTES.items():
        if file in files:
            faults += _size_faults(file, files[file], limit_bytes)
    missing = [file for file in LIMITS_BYTES if file not in files]
    if missing:
        faults.append(
            gettext("{missing} missing. Choose {choice}.").format(missing=join_and(missing), choice=CHOICE)
        )
    return faults


def _archive_faults(files: dict[str, int]) -> list[str]:
    if len(files) > 1:
        return [
            gettext(
                "An archive already contains both files, so it must be uploaded alone. Choose {choice}."
            ).format(choice=CHOICE)
        ]
    [(file, size_bytes)] = files.items()
    return _size_faults(file[:80], size_bytes, ARCHIVE_LIMIT)


def _file_name_fault(file: str) -> str:
    shown = file[:80]
    if PurePosixPath(file).suffix.lower() in PICKLE_ENDINGS:
        return gettext(
            "{shown} is a pickle file, which can run code when opened. Save the adapter with "
            "save_pretrained(…, safe_serialization=True) and choose {weights}."
        ).format(shown=shown, weights=WEIGHTS_FILE)
    return gettext("{shown} is not supported. Choose {choice}.").format(shown=shown, choice=CHOICE)


def _size_faults(file: str, size_bytes: int, limit_bytes: int) -> list[str]:
    if size_bytes <= 0:
        return [gettext("{file} is empty. Save the adapter again and choose the new file.").format(file=file)]
    if size_bytes > limit_bytes:
        return [
            gettext(
                "{file} is {size}; the limit is {limit}. Train with a lower rank, or save the weights "
                "in bfloat16."
            ).format(file=file, size=_format_size(size_bytes), limit=_format_size(limit_bytes))
        ]
    return []


def _format_size(size_bytes: int) -> str:
    if size_bytes >= MIB:
        return f"{size_bytes / MIB:,.1f} MiB"
    return f"{size_bytes / KIB:,.1f} KiB"


def _slug_faults(tenant: Tenant, own: Style | None, slug: str) -> list[str]:
    if not slug:
        return [gettext("Give the style a short name, such as brand-voice. Programs use it in `model=`.")]
    if not SLUG.fullmatch(slug):
        return [gettext("Use at most 40 lowercase letters, digits and hyphens, such as brand-voice.")]
    if slug in RESERVED_SLUGS or (not tenant.is_first_party and _is_first_party_slug(own, slug)):
        return [
            gettext("“{slug}” is reserved. Choose another name, such as my-{slug}.").format(slug=slug)[:200]
        ]
    return []


def _is_first_party_slug(own: Style | None, slug: str) -> bool:
    """Return whether a slug reads as the product's, or the first party has it; who had it before keeps it."""
    if reads_as_product(slug):
        return True
    return own is None and Style.objects.filter(owner__is_first_party=True, slug=slug).exists()


def _storage_faults(tenant: Tenant, files: dict[str, int]) -> list[str]:
    if tenant.is_first_party:
        return []
    return storage_quota.storage_of(tenant).upload_faults(sum(files.values()))


def _style_count_faults(tenant: Tenant, own: Style | None) -> list[str]:
    """Return why a plan has no room for one more private style."""
    counted = set(storage_quota.private_styles_of(tenant).values_list("pk", flat=True))
    needs_no_room = own is not None and (own.is_public or own.pk in counted)
    if tenant.is_first_party or needs_no_room:
        return []
    limits = limits_of(tenant, timezone.now())
    if len(counted) < limits.private_styles:
        return []
    return [
        gettext(
            "Your plan includes {most} private styles, and you have {held}. Upload a new version of one "
            "of them, or upgrade your plan."
        ).format(most=limits.private_styles, held=len(counted))
    ]
