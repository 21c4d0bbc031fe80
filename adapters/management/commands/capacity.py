"""`manage.py capacity`: how many styles fit on an engine, and what another --max-lora-rank would cost."""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from adapters.engines import capacity
from adapters.engines.capacity import GB, Comparison, EngineLimits, Layers, Memory
from adapters.models import Engine
from adapters.placement.summary import count_ranks
from adapters.validation import BaseShape

MB = 10**6


class Command(BaseCommand):
    """Prints the memory of one engine, and that of full models beside adapters."""

    help = (
        "Show the memory that styles use on an engine, with other values of --max-lora-rank, and "
        "compared to full models."
    )
    audit_action = None  # it changes nothing

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--engine", help="engine name (default: the only one)")
        parser.add_argument(
            "--styles", type=int, help="assume this many styles instead of those placed there"
        )
        parser.add_argument(
            "--rank", type=int, default=16, help="rank of these styles (default: %(default)s)"
        )
        parser.add_argument(
            "--model-gb", type=float, default=14, help="size of a full model (default: %(default)s)"
        )
        parser.add_argument(
            "--adapter-mb", type=float, default=50, help="size of an adapter (default: %(default)s)"
        )

    def handle(self, *, engine: str | None, styles: int | None, rank: int, **sizes: Any) -> None:
        row = _find_engine(engine)
        base = BaseShape.of(row.base_model.name, row.base_model.config, row.base_model.modules)
        layers = Layers.of(base)
        limits = EngineLimits.of(row, base)
        ranks = {rank: styles} if styles else count_ranks(row)
        count = sum(ranks.values())
        lines = [f"{row.name}: {row.base_model}, {count:,} styles, {limits.dtype}"]
        lines += engine_lines(capacity.estimate_memory(layers, limits, ranks), limits)
        lines.append("\nWith another --max-lora-rank (slots and cache):")
        lines += rank_lines(capacity.estimate_by_rank(layers, limits, ranks), limits)
        lines.append("\nAs separate full models, compared to one base model with adapters:")
        model_bytes = int(sizes["model_gb"] * GB)
        adapter_bytes = int(sizes["adapter_mb"] * MB)
        lines += comparison_lines(Comparison(max(count, 1), model_bytes, adapter_bytes))
        if settings.TRAINING:
            lines.append("\nTraining a style, beside the engine (at most, one at a time):")
            lines += training_lines(layers)
        for line in lines:
            self.stdout.write(line)


def rank_lines(memory_by_rank: Mapping[int, Memory], limits: EngineLimits) -> list[str]:
    """Return a line for each highest rank that the engine could be started with."""
    lines = []
    for max_rank, memory in memory_by_rank.items():
        mark = "  (now)" if max_rank == limits.max_lora_rank else ""
        used_bytes = memory.slots_bytes + memory.cache_bytes
        lines.append(f"  {max_rank:>4}  {_mb(memory.slot_bytes)} a slot  {_mb(used_bytes)}{mark}")
    return lines


def engine_lines(memory: Memory, limits: EngineLimits) -> list[str]:
    """Return the lines about one engine."""
    replicas = f"  {limits.replicas} replicas" if limits.replicas > 1 else ""
    return [
        f"  base        {_mb(memory.base_bytes)}{replicas}",
        f"  slots       {_mb(memory.slots_bytes)}  {limits.max_loras} for rank {limits.max_lora_rank}",
        f"  cache       {_mb(memory.cache_bytes)}  {memory.cached} of up to {limits.max_cpu_loras} adapters",
        f"  total       {_mb(memory.total_bytes)}  beside the KV cache",
        f"  on disk     {_mb(memory.disk_bytes)}",
    ]


def training_lines(layers: Layers) -> list[str]:
    """Return the lines about what the training worker needs, and where that must not come from."""
    device = settings.TRAINING_DEVICE
    is_quantised = bool(settings.TRAINING_QUANTISATION)
    memory = capacity.estimate_training(layers, device=device, is_quantised=is_quantised)
    if device == "cuda":
        place = "of a card of its own, or that the engine leaves free (--gpu-memory-utilization)"
    else:
        place = "of main memory"
    return [
        f"  base        {_mb(memory.base_bytes)}{'  in 4 bits' if is_quantised else ''}",
        f"  adapter     {_mb(memory.adapter_bytes)}  with its gradient and the optimizer's state",
        f"  work        {_mb(memory.work_bytes)}  numbers kept for the backward pass",
        f"  runtime     {_mb(memory.runtime_bytes)}  Python and PyTorch",
        f"  total       {_mb(memory.total_bytes)}  {place}",
    ]


def comparison_lines(styles: Comparison) -> list[str]:
    """Return the lines about full models against adapters."""
    count = f"{styles.styles:,}"
    return [
        f"  {count} full models of {styles.model_bytes / GB:,.1f} GB: {styles.apart_bytes / GB:,.1f} GB",
        f"  one and {count} adapters of {styles.adapter_bytes / MB:,.0f} MB: "
        f"{styles.together_bytes / GB:,.1f} GB ({styles.saved:.1%} less)",
    ]


def _find_engine(name: str | None) -> Engine:
    engines = Engine.objects.select_related("base_model")
    if name:
        engines = engines.filter(name=name)
    found = list(engines[:2])
    if not found:
        raise CommandError("No such engine.")
    if len(found) > 1:
        raise CommandError("Choose an engine with --engine.")
    return found[0]


def _mb(size: int) -> str:
    return f"{size / MB:>10,.1f} MB"
