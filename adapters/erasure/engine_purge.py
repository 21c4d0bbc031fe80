"""Purge engines: nothing of an erased version stays in an engine's registry, its memory or beside it on disk.

A worker beside the engine runs this, and never while it reconciles the engine.

**Registry.** The engine's own list lacks the name. The worker unloads it only once the version is drained, so
no request starts or runs under the name afterwards.

**Memory.** Another process serves than the one that unloaded the name. vLLM 0.32 frees nothing before its
process ends: see docs/decisions/0019. Where no copy was ever loaded or cached there is nothing to prove:
files are cached before each load and stay until this step.

**Disk.** An engine that misses an adapter's files dies with everybody's requests, so the files stay until no
engine's memory needs them: engines on one machine may share the folder.

Nobody can look at a Ray cluster's nodes, which pull adapters from the storage by themselves, nor at a machine
that is gone for good. An operator confirms that those were wiped.
"""

import shutil
from pathlib import Path

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from adapters.engines import client
from adapters.errors import EngineUnavailable, NothingToAttest
from adapters.models import AdapterVersion, Engine, EngineErasure, Erasure, Placement
from adapters.placement import local_cache
from adapters.routing import publisher
from core import locks
from core.messages import Message, MessageCode


class PurgeNote(MessageCode):
    """What the purge of an engine waits for."""

    STARTED_WITH = _(
        "The engine still lists it as {name}. If the engine was started with that module, restart "
        "it without it."
    )
    MACHINE_GONE = _("Its machine is permanently out of service.")
    DISK_KEEPS = _("We couldn't delete the copy on the engine's disk: {reason}.")


Proof = EngineErasure.Proof


def purge_engine(engine: Engine) -> list[int]:
    """Take every step that can be taken beside an engine; return the erasures that are done with it."""
    if is_out_of_reach(engine):
        return []
    purged: list[int] = []
    # The reconciler's lock: it could load a version in between.
    with locks.only_one(f"engine {engine.pk}") as mine:
        if not mine:
            return purged
        open_rows = EngineErasure.objects.filter(engine=engine.name, copy_gone_at=None)
        drained = open_rows.filter(erasure__drained_at__isnull=False).select_related("erasure__version")
        rows = list(drained)
        _unload_all(engine, [row for row in rows if row.unregistered_at is None])
        for row in rows:
            _prove_memory_free(engine, row)
            if _delete_copy(row):
                purged.append(row.erasure_id)
    return purged


def is_out_of_reach(engine: Engine | None) -> bool:
    """Return whether nobody can look at an engine from here: its machine is gone, or it is a Ray cluster."""
    return engine is None or engine.is_gone or engine.kind != Engine.Kind.VLLM


def give_up_engine(engine: Engine) -> None:
    """Take an engine out of service whose machine is gone for good; its styles move to other engines.

    Its placements stay as rows: later erasures read from them where copies were.
    """
    with transaction.atomic():
        placements = Placement.objects.lock(engine.placements.values_list("pk", flat=True))
        placements.update(is_desired=False, loaded_at=None, loaded_as="", note="")
        Engine.objects.filter(pk=engine.pk).update(
            is_gone=True, is_draining=True, is_healthy=False, note=PurgeNote.MACHINE_GONE()
        )
        publisher.mark_engines_changed([engine.pk], are_places_new=True)


def attest(erasure: Erasure) -> int:
    """Take an operator's word for the engines that are out of reach; return how many.

    Raises NothingToAttest.
    """
    rows = erasure.engines.filter(copy_gone_at=None)
    engines = Engine.objects.in_bulk(rows.values_list("engine", flat=True), field_name="name")
    out_of_reach = [row.pk for row in rows if is_out_of_reach(engines.get(row.engine))]
    if not out_of_reach or erasure.drained_at is None:
        raise NothingToAttest
    now = timezone.now()
    return rows.filter(pk__in=out_of_reach).update(
        unregistered_at=now, memory_free_at=now, copy_gone_at=now, proof=Proof.ATTESTED, note=""
    )


def _unload_all(engine: Engine, rows: list[EngineErasure]) -> None:
    """Unload versions, and note when the engine's list lacks them, or why it does not."""
    if not rows:
        return
    names = {row.erasure.version.engine_name for row in rows}
    try:
        for name in names & client.list_adapters(engine).keys():
            client.unload_adapter(engine, name)
        # Listed again: an answer 200 to the unloading is no proof.
        listed = client.list_adapters(engine)
        # Read while the name is gone, so this process is the one that may still hold the weights.
        process_began_at = client.started_at(engine)
    except EngineUnavailable as error:
        for row in rows:
            _record_note(row, Message.of(error))
        return
    for row in rows:
        if name := _listed_name(row.erasure.version, listed):
            _record_note(row, PurgeNote.STARTED_WITH(name=name))
        else:
            row.unregistered_at = timezone.now()
            row.process_began_at = process_began_at
            row.note = Message()
            row.save()


def _listed_name(version: AdapterVersion, listed: dict[str, str]) -> str:
    """Return the name under which an engine lists a version, or the same files as its own module, or ""."""
    if version.engine_name in listed:
        return version.engine_name
    digests = (version.config_sha256, version.sha256)
    for name, folder in listed.items():
        is_own_module = not name.startswith("v_")
        if is_own_module and local_cache.read_digests(Path(folder)) == digests:
            return name
    return ""


def _prove_memory_free(engine: Engine, row: EngineErasure) -> None:
    if row.unregistered_at is None or row.memory_free_at:
        return
    if not _was_cached(row):
        row.proof = Proof.NEVER
    elif _was_restarted(engine, row):
        row.proof = Proof.RESTART
    else:
        return
    row.memory_free_at = timezone.now()
    row.save()


def _was_cached(row: EngineErasure) -> bool:
    version = row.erasure.version
    loaded_placements = version.placements.filter(engine__name=row.engine, loads__gt=0)
    return local_cache.is_cached(version) or loaded_placements.exists()


def _was_restarted(engine: Engine, row: EngineErasure) -> bool:
    """Return whether another process serves than the one that unloaded the name.

    Both starts are the engine's own word. Whether one is before or after the unloading is not compared: the
    kernel counts a process's start from a boot time in whole seconds, so a process that began just after the
    unloading may say that it began before.
    """
    before = row.process_began_at
    return engine.started_at is not None and before is not None and not engine.is_process_of(before)


def _delete_copy(row: EngineErasure) -> bool:
    """Delete the copy beside an engine once all engines' memory is free; return whether it is gone."""
    if row.memory_free_at is None:
        return False
    # Engines of one machine may share the folder, and one that misses a file dies.
    if EngineErasure.objects.filter(erasure=row.erasure_id, memory_free_at=None).exists():
        return False
    path = local_cache.path_of(row.erasure.version)
    try:
        for folder in path.parent.glob(f"{path.name}*"):  # those of downloads that broke off, too
            shutil.rmtree(folder)
    except OSError as error:
        _record_note(row, PurgeNote.DISK_KEEPS(reason=error.strerror))
        return False
    return bool(EngineErasure.objects.filter(pk=row.pk).update(copy_gone_at=Now(), note=""))


def _record_note(row: EngineErasure, note: Message) -> None:
    if row.note != note:  # a worker comes by every other second
        row.note = note
        row.save(update_fields=["note"])
