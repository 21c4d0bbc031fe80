"""Styles of trials and benches: many at once, their prices, their names in the engine."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from adapters import object_store
from adapters.models import AdapterVersion, BaseModel, Engine, Placement, Status, Style
from adapters.routing import publisher
from metering.models import StylePrice, TokenPrices
from metering.quota_sync.snapshot import bump_generations
from tenants.models import Tenant

FILES = ("adapter_config.json", "adapter_model.safetensors")
ROWS_AT_ONCE = 500
STORED_AT_ONCE = 8


def create_styles(*, tenant: str, folders: list[str], count: int, public: bool) -> list[str]:
    """Return the model names of new styles of a tenant; their versions have the folders' files in turn.

    The files are really stored, and each style is a row as if its version had served before: an engine gets
    them as it gets everything after a restart.
    """
    owner = Tenant.objects.get(pk=tenant)
    base = BaseModel.objects.get(name=settings.BASE_MODEL)
    sources = [Path(folder) for folder in islice(cycle(folders), count)]
    facts = {folder: read_facts(folder) for folder in set(sources)}
    styles = [
        Style(owner=owner, slug=f"style-{n:04d}", name=f"Style {n}", base_model=base, is_public=public)
        for n in range(count)
    ]
    versions = [
        AdapterVersion(style=style, number=1, status=Status.SERVING, **facts[folder])
        for style, folder in zip(styles, sources, strict=True)
    ]
    with ThreadPoolExecutor(STORED_AT_ONCE) as pool:
        list(pool.map(store, [version.pk for version in versions], sources))
    Style.objects.bulk_create(styles, ROWS_AT_ONCE)
    AdapterVersion.objects.bulk_create(versions, ROWS_AT_ONCE)
    for style, version in zip(styles, versions, strict=True):
        style.live_version = version
        style.generation = 1  # the sweep publishes it
    Style.objects.bulk_update(styles, ["live_version", "generation"], ROWS_AT_ONCE)
    bump_generations([owner.pk])
    return [style.model_name for style in styles]


def store(version_id: UUID, folder: Path) -> None:
    """Lay a folder's files where checked files lie."""
    for file in FILES:
        object_store.write(version_id, file, [(folder / file).read_bytes()])


def read_facts(folder: Path) -> dict[str, Any]:
    """Return what validation would have written down about an adapter."""
    config, weights = ((folder / file).read_bytes() for file in FILES)
    parsed = json.loads(config)
    return {
        "rank": parsed["r"],
        "alpha": parsed["lora_alpha"],
        "target_modules": parsed["target_modules"],
        "size_bytes": len(weights),
        "files": dict(zip(FILES, map(len, (config, weights)), strict=True)),
        "sha256": hashlib.sha256(weights).hexdigest(),
        "config_sha256": hashlib.sha256(config).hexdigest(),
    }


def price_style(*, model: str, amounts: list[int], author: str, percent: int) -> dict[str, str]:
    """Let a style cost so much: input, cached input and output, in nano-USD a token.

    `author` is the workspace that gets `percent` of what others pay. Returns the style's id, and from when
    the price counts.
    """
    style = Style.objects.get(slug=model, owner__is_first_party=True)
    with transaction.atomic():
        # At once: until every copy knows of it the style costs what it did, and is billed so.
        price = StylePrice.objects.create(
            style=style.pk,
            style_name=style.model_name,
            effective_from=timezone.now(),
            author_id=author,
            author_percent=percent,
            **TokenPrices(*amounts)._asdict(),
        )
        publisher.mark_repriced([style.pk])
    return {"style": str(style.pk), "begins": price.effective_from.isoformat()}


def engine_names() -> dict[str, str]:
    """Return model name → its name in the engine, of the public styles and the base model."""
    names = {"base": Engine.objects.select_related("base_model").earliest("pk").base_model.name}
    loaded = Placement.objects.filter(version__style__live_version=F("version"), is_desired=True)
    loaded = loaded.exclude(loaded_at=None).filter(version__style__is_public=True)
    for placement in loaded.select_related("version__style__owner"):
        names[placement.version.style.model_name] = placement.loaded_as
    return names
