"""Conversions: a rejected version that can be mended mechanically becomes a new one, checked like any other.

What is changed is planned by `adapters.validation.autofix` and written by the worker; see steps.py.
"""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from adapters import object_store
from adapters.errors import NothingToConvert, PlanFull
from adapters.models import AdapterVersion, Status
from adapters.uploads import sessions, storage_quota
from foundation import locks
from tenants.public import User

OFFERED_FOR = timedelta(days=7)  # as long are the files of a rejected version kept for it
SENTENCES = {  # by code: a name of ours, or the field of adapter_config.json that is corrected
    "names": "The tensors get the names that engines look for: base_model.model.<module>.lora_A.weight and "
    "….lora_B.weight.",
    "precision": "Weights of 64 bits, and of 32 bits in a file that is too large, are rounded to bfloat16, "
    "the precision in which engines compute.",
    "ranks": "Layers of a lower rank than adapter_config.json says are filled up with zeros to that rank; "
    "what they do stays the same.",
    "peft_type": "peft_type becomes LORA, which the tensors are.",
    "r": "r becomes the rank that the tensors have, as a whole number.",
    "lora_alpha": "lora_alpha is written as a number instead of a text.",
    "use_rslora": "use_rslora is written as true or false, as it was meant.",
    "target_modules": "target_modules lists the modules that have weights.",
    "bias": "bias becomes none: the adapter has no biases.",
    "base_model_name_or_path": "base_model_name_or_path is spelled as this service spells the same model.",
}


def offered_conversions(version: AdapterVersion) -> list[str]:
    """Return what a conversion of a rejected version would do, a sentence each; none if it can't be had."""
    return [] if version.files_gone_at else [SENTENCES[code] for code in version.conversions]


def begin_conversion(version: AdapterVersion, user: User | None) -> AdapterVersion:
    """Return the new version that a rejected one is converted into: the same one each time it is asked for.

    Raises NothingToConvert when nothing is offered (any more), PlanFull when the plan keeps no more versions.
    """
    owner = version.style.owner
    with transaction.atomic():
        locks.one_at_a_time(sessions.lock_of(owner.pk))
        if made := AdapterVersion.objects.filter(converted_from=version).first():
            return made
        if not owner.is_first_party and (faults := storage_quota.storage_of(owner).faults_of_a_version()):
            raise PlanFull(fault=faults[0])
        offers = AdapterVersion.objects.filter(pk=version.pk, status=Status.REJECTED, files_gone_at=None)
        if not offers.exclude(conversions=[]).exists():
            raise NothingToConvert
        made = sessions.next_version(
            version.style,
            user,
            converted_from=version,
            size_bytes=version.size_bytes,
            stated_quantisation=version.stated_quantisation,
            goes_live=version.goes_live,
            handed_in_at=timezone.now(),
        )
        made.move(before=Status.UPLOADING, after=Status.UPLOADED)
    return made


def withdraw_conversions(version: AdapterVersion) -> None:
    """Offer no conversion of a version any more; delete what was kept for it. Raises StorageUnavailable."""
    object_store.erase(version.pk)
    AdapterVersion.objects.filter(pk=version.pk).update(conversions=[], stored_bytes=0)


def withdraw_old_conversions() -> None:
    """Withdraw what was offered for OFFERED_FOR and not taken. Raises StorageUnavailable.

    What was kept as long because its check broke off goes, too.
    """
    before = timezone.now() - OFFERED_FOR
    rejected = AdapterVersion.objects.filter(history__status=Status.REJECTED, history__at__lt=before)
    for version in rejected.filter(stored_bytes__gt=0):
        withdraw_conversions(version)
