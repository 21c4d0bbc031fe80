"""`manage.py capacity`: how many styles fit on an engine, and what another --max-lora-rank would cost."""

from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from adapters.engines import capacity
from adapters.engines.capacity import GB, Comparison, Layers, Limits, Memory
from adapters.models import AdapterVersion, Engine, Status
from adapters.validation import BaseShape

MB = 10**6


class Command(BaseCommand):
    """Prints one engine's arithmetic, or that of full models against adapters."""

    help = (
        "Memory that styles take on an engine, what-if on --max-lora-rank, and full models against adapters."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--engine", help="its name (default: the only one)")
        parser.add_argument(
            "--styles", type=int, help="reckon with so many styles instead of those that are placed there"
        )
        parser.add_argument("--rank", type=int, default=16, help="of these styles (default: %(default)s)")
        parser.add_argument("--model-gb", type=float, default=14, help="a full model (default: %(default)s)")
        parser.add_argument("--adapter-mb", type=float, default=50, help="an adapter (default: %(default)s)")

    def handle(self, *, engine: str | None, styles: int | None, rank: int, **sizes: Any) -> None:
        found = _engine(engine)
        base = BaseShape.of(found.base_model.name, found.base_model.config, found.base_model.modules)
        layers, limits = Layers.of(base), Limits.of(found, base)
        ranks = {rank: styles} if styles else _ranks(found)
        self.stdout.write(
            f"{found.name}: {found.base_model}, {sum(ranks.values()):,} styles, {limits.dtype}\n"
        )
        for line in of_engine(capacity.estimate_memory(layers, limits, ranks), limits):
            self.stdout.write(line)
        self.stdout.write("\nWith another --max-lora-rank (slots and cache):")
        for highest, memory in capacity.estimate_by_rank(layers, limits, ranks).items():
            mark = "  (now)" if highest == limits.max_lora_rank else ""
            used = memory.slots_bytes + memory.cache_bytes
            self.stdout.write(f"  {highest:>4}  {_mb(memory.slot_bytes)} a slot  {_mb(used)}{mark}")
        count = sum(ranks.values())
        model, adapter = int(sizes["model_gb"] * GB), int(sizes["adapter_mb"] * MB)
        self.stdout.write("\nAs models of their own, against one base and adapters:")
        for line in compared(Comparison(max(count, 1), model, adapter)):
            self.stdout.write(line)


def of_engine(memory: Memory, limits: Limits) -> list[str]:
    """Return the lines about one engine."""
    replicas = f"  {limits.replicas} replicas" if limits.replicas > 1 else ""
    return [
        f"  base        {_mb(memory.base_bytes)}{replicas}",
        f"  slots       {_mb(memory.slots_bytes)}  {limits.max_loras} for rank {limits.max_lora_rank}",
        f"  cache       {_mb(memory.cache_bytes)}  {memory.cached} of up to {limits.max_cpu_loras} adapters",
        f"  total       {_mb(memory.total_bytes)}  beside the KV cache",
        f"  on disk     {_mb(memory.disk_bytes)}",
    ]


def compared(styles: Comparison) -> list[str]:
    """Return the lines about full models against adapters."""
    count, model = f"{styles.styles:,}", f"{styles.model_bytes / GB:,.1f} GB"
    return [
        f"  {count} full models of {model}: {styles.apart_bytes / GB:,.1f} GB",
        f"  one and {count} adapters of {styles.adapter_bytes / MB:,.0f} MB: "
        f"{styles.together_bytes / GB:,.1f} GB ({styles.saved:.1%} less)",
    ]


def _engine(name: str | None) -> Engine:
    engines = list(Engine.objects.select_related("base_model").filter(**{"name": name} if name else {})[:2])
    if len(engines) != 1:
        raise CommandError("Name one engine with --engine." if engines else "There is no such engine.")
    return engines[0]


def _ranks(engine: Engine) -> dict[int, int]:
    """Return rank → how many are wanted on an engine; all that serve on its base if there are none yet.

    A cluster takes whatever it is asked for, placed there or not.
    """
    versions = AdapterVersion.objects.filter(rank__isnull=False)
    placed = versions.filter(placements__in=engine.placements.filter(is_desired=True))
    if engine.kind == Engine.Kind.RAY or not placed.exists():
        placed = versions.filter(style__base_model=engine.base_model_id, status=Status.SERVING)
    return dict(Counter(rank for rank in placed.values_list("rank", flat=True) if rank))


def _mb(size: int) -> str:
    return f"{size / MB:>10,.1f} MB"
