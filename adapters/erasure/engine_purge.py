"""Forgetting: an engine has nothing of an erased version any more, in its registry, its memory, on its disk.

This runs beside the engine, where the local copies lie, and never while that engine is being reconciled.

**Registry.** The name is unloaded and the engine's own list lacks it. That happens only once the version is
drained, so that no request starts or runs under that name afterwards.

**Memory.** Unloading forgets the name and nothing else: vLLM keeps the weights in a cache of `max_cpu_loras`
adapters and in `max_loras` slots on the device. They are gone for certain when

- another process serves than the one that unloaded it: the engine's own word on when it began is another one.
  Before and after are not asked of clocks: the kernel counts a process's start from a boot time in whole
  seconds, so that one which began just after the unloading may say that it began before; or
- as many adapters as the cache holds were loaded since. Each load makes an entry of its own, even of an
  adapter that was loaded before; cache and slots both drop the least recently used one, and a slot is
  overwritten by the next adapter in it. Loads are counted once the engine has confirmed them, so that one
  whose worker died counts too little, never too much. They count from `STRAGGLERS` after the unloading: a
  request whose gateway stood still for longer than its lease may have outlived its hold, and would have
  used the weights again.
- Nothing has to be proved where no copy ever lay: files are laid before every load and stay until now.

**Disk.** An engine that misses an adapter's files dies with everybody's requests. It reads them when a
request needs an adapter that fell out of its memory; the request carries the path. With the name forgotten
and the requests drained nobody carries it, so the files could go at once. They stay until the memory is
proved free all the same: that proof does not rest on our having counted the requests rightly, and until then
the weights are in the same machine's memory anyway. Engines on one machine may share the folder: it goes when
the memory of all of them is free.

A Ray cluster pulls adapters from the storage by itself and keeps them on its own nodes, and nobody can ask an
engine whose machine is gone for good: an operator vouches that their machines were wiped. The placements on
one that is gone stay, so that an erasure which begins afterwards asks for that word, too.
"""

import shutil
from datetime import timedelta
from pathlib import Path

from django.db import transaction
from django.db.models import QuerySet, Sum
from django.db.models.functions import Now
from django.utils import timezone

from adapters.engines import client as control
from adapters.errors import EngineUnavailable, NothingToAttest
from adapters.models import AdapterVersion, Engine, EngineErasure, Erasure, Placement
from adapters.placement import local_cache
from foundation import locks
from tenants.public import bump_all_generations

DRAIN_GRACE = timedelta(minutes=15)
STARTED_WITH = "The engine lists it as {name}: if that is a module it was started with, start it without."
MACHINE_GONE = "Its machine is gone for good."
DISK_KEEPS = "The disk beside the engine does not let go of the copy: {reason}."

Proof = EngineErasure.Proof


def purge_engine(engine: Engine) -> list[int]:
    """Take every step that can be taken beside an engine; return the erasures that are done with it."""
    if is_out_of_reach(engine):
        return []
    with locks.only_one(f"engine {engine.pk}") as mine:
        rows = list(_open(engine)) if mine else []
        if not rows:
            return []
        loads = loads_of(engine)
        try:
            _unregister(engine, [row for row in rows if row.unregistered_at is None], loads)
        except EngineUnavailable as error:
            _wait([row for row in rows if row.unregistered_at is None], error.message)
        for row in rows:
            _free(engine, row, loads)
        return [row.erasure_id for row in rows if _delete_copy(row)]


def loads_of(engine: Engine) -> int:
    """Return how many loads of adapters an engine has ever confirmed."""
    return int(engine.placements.aggregate(all=Sum("loads"))["all"] or 0)


def is_out_of_reach(engine: Engine | None) -> bool:
    """Return whether nobody can look at an engine from here: its machine is gone, or it is a Ray cluster."""
    return engine is None or engine.is_gone or engine.kind != Engine.Kind.VLLM


def give_up_engine(engine: Engine) -> None:
    """Take an engine out of service whose machine is gone for good; its styles move to others.

    The rows of what was placed there stay: they tell where copies lay.
    """
    with transaction.atomic():
        placements = Placement.objects.held(engine.placements.values_list("pk", flat=True))
        placements.update(is_desired=False, loaded_at=None, loaded_as="", note="")
        Engine.objects.filter(pk=engine.pk).update(
            is_gone=True, is_draining=True, is_healthy=False, note=MACHINE_GONE
        )
        bump_all_generations()  # that of the base model leads there as well


def attest(erasure: Erasure) -> int:
    """Take an operator's word for the engines that are out of reach; return how many.

    Raises NothingToVouchFor.
    """
    rows = list(erasure.engines.filter(copy_gone_at=None))
    known = Engine.objects.in_bulk([row.engine for row in rows], field_name="name")
    rows = [row for row in rows if is_out_of_reach(known.get(row.engine))]
    if not rows or erasure.drained_at is None:
        raise NothingToAttest
    for row in rows:
        row.unregistered_at = row.memory_free_at = row.copy_gone_at = timezone.now()
        row.proof, row.note = Proof.VOUCHED, ""
        row.save()
    return len(rows)


def _open(engine: Engine) -> QuerySet[EngineErasure]:
    rows = EngineErasure.objects.filter(engine=engine.name, copy_gone_at=None)
    return rows.filter(erasure__drained_at__isnull=False).select_related("erasure__version")


def _unregister(engine: Engine, rows: list[EngineErasure], loads: int) -> None:
    """Have an engine forget names, and write down that its list lacks them. Raises EngineUnavailable."""
    if not rows:
        return
    known = control.list_adapters(engine)
    for name in {row.erasure.version.engine_name for row in rows} & known.keys():
        control.unload_adapter(engine, name)
    known = control.list_adapters(engine)
    began = control.started_at(engine)
    for row in rows:
        if name := _name_of(row.erasure.version, known):
            _wait([row], STARTED_WITH.format(name=name))
        else:
            row.unregistered_at, row.note = timezone.now(), ""
            row.process_began_at, row.loads_before = began, loads
            row.save()


def _name_of(version: AdapterVersion, known: dict[str, str]) -> str:
    """Return the name under which an engine still lists a version, or the same files as its own module."""
    if version.engine_name in known:
        return version.engine_name
    files = (version.config_sha256, version.sha256)
    modules = {name: root for name, root in known.items() if not name.startswith("v_")}
    return next((name for name, root in modules.items() if local_cache.read_digests(Path(root)) == files), "")


def _free(engine: Engine, row: EngineErasure, loads: int) -> None:
    """Write down what proves that an engine's memory is free of a version, once something does."""
    if row.unregistered_at is None or row.memory_free_at:
        return
    if not _was_cached(row):
        _mark_free(row, Proof.NEVER)
    elif _was_restarted(engine, row):
        _mark_free(row, Proof.RESTART)
    elif timezone.now() < row.unregistered_at + DRAIN_GRACE:
        row.loads_before = loads
        row.save()
    elif loads >= row.loads_before + engine.max_cpu_loras:
        _mark_free(row, Proof.EVICTION)


def _was_cached(row: EngineErasure) -> bool:
    placed = row.erasure.version.placements.filter(engine__name=row.engine, loads__gt=0)
    return local_cache.is_cached(row.erasure.version) or placed.exists()


def _was_restarted(engine: Engine, row: EngineErasure) -> bool:
    """Return whether another process serves than the one that forgot the name."""
    before = row.process_began_at
    return engine.started_at is not None and before is not None and not engine.is_process_of(before)


def _mark_free(row: EngineErasure, proof: str) -> None:
    row.memory_free_at, row.proof = timezone.now(), proof
    row.save()


def _delete_copy(row: EngineErasure) -> bool:
    """Delete what lies beside an engine of a version, half-made folders too; return whether it is gone."""
    others = EngineErasure.objects.filter(erasure=row.erasure_id, memory_free_at=None)
    if row.memory_free_at is None or others.exists():
        return False
    path = local_cache.path_of(row.erasure.version)
    try:
        for folder in path.parent.glob(f"{path.name}*"):
            shutil.rmtree(folder)
    except OSError as error:
        _wait([row], DISK_KEEPS.format(reason=error.strerror))
        return False
    return bool(EngineErasure.objects.filter(pk=row.pk).update(copy_gone_at=Now(), note=""))


def _wait(rows: list[EngineErasure], note: str) -> None:
    changed = EngineErasure.objects.filter(pk__in=[row.pk for row in rows]).exclude(note=note[:300])
    changed.update(note=note[:300])
