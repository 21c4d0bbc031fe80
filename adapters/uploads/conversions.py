"""Conversions: a rejected version that can be corrected mechanically becomes a new one, checked again.

`adapters.validation.autofix` plans the corrections, and `pipeline` writes them.
"""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from adapters import object_store
from adapters.errors import NothingToConvert, PlanFull
from adapters.models import AdapterVersion, Status
from adapters.uploads import sessions, storage_quota
from tenants.models import Tenant, User

OFFERED_FOR = timedelta(days=7)  # the files of the rejected version are kept as long
SENTENCES = {  # by code: a name of ours, or the field of adapter_config.json that is corrected
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
    return [str(SENTENCES[code]) for code in version.conversions] if version.is_convertible else []


def begin_conversion(version: AdapterVersion, user: User | None) -> AdapterVersion:
    """Return the new version that a rejected one is converted into. A second call returns the same one.

    Raises NothingToConvert when no conversion is offered, PlanFull when the plan keeps no more versions.
    """
    owner = version.style.owner
    with transaction.atomic():
        sessions.lock_uploads(owner.pk)
        converted = AdapterVersion.objects.filter(converted_from=version).first()
        if converted:
            return converted
        if not owner.is_first_party:
            _require_room(owner)
        rejected = AdapterVersion.objects.filter(pk=version.pk, status=Status.REJECTED, files_gone_at=None)
        if not rejected.exclude(conversions=[]).exists():
            raise NothingToConvert
        converted = sessions.create_next_version(
            version.style,
            user,
            converted_from=version,
            size_bytes=version.size_bytes,
            stated_quantisation=version.stated_quantisation,
            auto_promote=version.auto_promote,
            handed_in_at=timezone.now(),
        )
        converted.move(before=Status.UPLOADING, after=Status.UPLOADED)
    return converted


def withdraw_conversions(version: AdapterVersion) -> None:
    """Withdraw the conversion of a version, and delete the files kept for it. Raises StorageUnavailable."""
    object_store.erase(version.pk)
    AdapterVersion.objects.filter(pk=version.pk).update(conversions=[], stored_bytes=0)


def withdraw_old_conversions() -> int:
    """Withdraw what was offered for OFFERED_FOR and not begun; return of how many versions.

    Files that were kept as long because their examination never ended are deleted, too. Raises
    StorageUnavailable.
    """
    before = timezone.now() - OFFERED_FOR
    rejected = AdapterVersion.objects.filter(history__status=Status.REJECTED, history__at__lt=before)
    versions = list(rejected.filter(stored_bytes__gt=0))
    for version in versions:
        withdraw_conversions(version)
    return len(versions)


def _require_room(owner: Tenant) -> None:
    faults = storage_quota.storage_of(owner).version_faults()
    if faults:
        raise PlanFull(fault=faults[0])
