"""What operators have done to an engine: register it with its base model, as the settings describe them,
drain it, take it back, let it try again, and read its own limits."""

import json
from pathlib import Path

from django.conf import settings
from django.db import transaction

from adapters.engines import readiness
from adapters.errors import EngineGone, NothingNew, UnchangedDraining
from adapters.models import BaseModel, Engine, Status
from adapters.routing import publisher
from adapters.validation import base_model_reader
from tenants.audit import record_command

AUDITED = (
    "kind",
    "url",
    "device",
    "max_loras",
    "max_cpu_loras",
    "max_lora_rank",
    "max_model_len",
    "max_num_seqs",
    "replicas",
)


def register_base(folder: Path, name: str) -> BaseModel:
    """Return the row of a base model; its weights are measured only when it is new or its config has changed.

    Raises UnreadableBase.
    """
    known = BaseModel.objects.filter(name=name).first()
    # Measuring reads every weight file, and each start of the site comes here.
    if known and known.modules and known.config == _read_config(folder):
        return known
    shape = base_model_reader.read_base_model(folder, name)
    values = {"config": dict(shape.config), "modules": shape.modules_json()}
    return BaseModel.objects.update_or_create(name=name, defaults=values)[0]


def register_engine() -> Engine:
    """Return the row of the engine that the settings describe, brought up to date. Safe to repeat.

    Raises UnreadableBase, EngineGone.
    """
    values = {
        "base_model": register_base(settings.BASE_MODEL_DIR, settings.BASE_MODEL),
        "kind": settings.ENGINE_KIND,
        "url": settings.ENGINE_URL,
        "device": settings.ENGINE_DEVICE,
        "max_loras": settings.ENGINE_MAX_LORAS * settings.ENGINE_REPLICAS,
        "max_cpu_loras": settings.ENGINE_MAX_CPU_LORAS * settings.ENGINE_REPLICAS,
        "max_lora_rank": settings.ENGINE_MAX_LORA_RANK,
        "max_model_len": settings.ENGINE_MAX_MODEL_LEN,
        "max_num_seqs": settings.ENGINE_MAX_NUM_SEQS * settings.ENGINE_REPLICAS,
        "replicas": settings.ENGINE_REPLICAS,
    }
    known = Engine.objects.filter(name=settings.ENGINE_NAME)
    if known.filter(is_gone=True).exists():
        raise EngineGone(name=settings.ENGINE_NAME)
    if same := known.filter(**values).first():
        return same
    with transaction.atomic():
        before = _facts_of(known.first())
        engine, is_new = Engine.objects.update_or_create(name=settings.ENGINE_NAME, defaults=values)
        publisher.mark_engines_changed([engine.pk], are_places_new=True)
        after = _facts_of(engine)
        changed = [name for name in after if after[name] != before.get(name)]
        record_command(
            "registerengine",
            action="engine.registered" if is_new else "engine.changed",
            row=engine,
            before={name: before[name] for name in changed if name in before},
            after={name: after[name] for name in changed},
        )
    return engine


def _facts_of(engine: Engine | None) -> dict[str, object]:
    """Return what the settings say of an engine, as the audit log holds it."""
    if engine is None:
        return {}
    facts: dict[str, object] = {name: getattr(engine, name) for name in AUDITED}
    return {**facts, "base_model": engine.base_model.name}


def _read_config(folder: Path) -> object:
    """Return what config.json says, or None where `read_base_model` will say what is wrong."""
    try:
        return json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return None


def set_draining(engine: Engine, *, is_draining: bool) -> None:
    """Let an engine take no new styles and requests, or take them again. Raises UnchangedDraining."""
    with transaction.atomic():
        others = Engine.objects.filter(pk=engine.pk, is_gone=False).exclude(is_draining=is_draining)
        if not others.update(is_draining=is_draining):
            raise UnchangedDraining
        publisher.mark_engines_changed([engine.pk], are_places_new=True)


def try_again(engine: Engine) -> int:
    """Let an engine try at once what it could not load, or refused; return how many styles that are."""
    with transaction.atomic():
        waiting = engine.placements.exclude(retry_at=None).update(retry_at=None)
        refused = engine.placements.filter(is_desired=False, version__status=Status.SERVING).exclude(note="")
        return waiting + refused.update(note="")


def take_limits(engine: Engine) -> dict[str, int]:
    """Give an engine's row the limits that the engine itself tells; return those that changed.

    Raises EngineUnavailable, and NothingNew where the row has them already.
    """
    told = readiness.read_limits(engine)
    changed = {name: limit for name, limit in told.items() if limit != getattr(engine, name)}
    if not changed:
        raise NothingNew
    with transaction.atomic():
        Engine.objects.filter(pk=engine.pk).update(**changed)
        publisher.mark_engines_changed([engine.pk], are_places_new="max_model_len" in changed)
    return changed
