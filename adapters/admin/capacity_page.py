"""What-if: the memory that so many styles would take on an engine, and as models of their own."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from django import forms
from django.http import QueryDict
from django.template.defaultfilters import pluralize
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminIntegerFieldWidget

from adapters.engines import capacity
from adapters.engines.capacity import GB, RANKS, Comparison, EngineLimits, Layers, Memory
from adapters.models import Engine
from adapters.placement.summary import count_ranks
from adapters.validation import BaseShape

MB = 10**6
WIDTH_PERCENT = 100


class CapacityForm(forms.Form):
    """What is assumed."""

    styles = forms.IntegerField(
        min_value=1, max_value=100_000, label="Styles", widget=UnfoldAdminIntegerFieldWidget
    )
    rank = forms.TypedChoiceField(
        coerce=int,
        choices=[(rank, str(rank)) for rank in RANKS],
        label="Rank",
        widget=forms.Select(attrs={"class": "capacity-select"}),
    )
    slots = forms.IntegerField(
        min_value=1,
        max_value=1_000,
        label="Slots (--max-loras)",
        widget=UnfoldAdminIntegerFieldWidget,
    )
    model_gb = forms.DecimalField(
        min_value=0,
        max_value=10_000,
        decimal_places=2,
        label="Size of a full model, in GB",
        widget=UnfoldAdminDecimalFieldWidget,
    )
    gpu_gb = forms.DecimalField(
        min_value=1,
        max_value=10_000,
        decimal_places=1,
        label="GPU memory, in GB",
        widget=UnfoldAdminDecimalFieldWidget,
    )


@dataclass(frozen=True)
class Part:
    """A part of an amount of memory: its words, its size and its share of the longest bar."""

    name: str
    size: str
    percent: float


@dataclass(frozen=True)
class RankRow:
    """The memory of slots and cache with another highest rank."""

    rank: int
    slot: str
    total: str
    percent: float
    is_now: bool


def describe_capacity(engine: Engine, query: QueryDict) -> dict[str, Any]:
    """Return the form and, for what it assumes, bars: on this engine, by highest rank, and as full models."""
    base = BaseShape.of(engine.base_model.name, engine.base_model.config, engine.base_model.modules)
    layers = Layers.of(base)
    limits = EngineLimits.of(engine, base)
    assumed = _assume(engine, layers, limits)
    form = CapacityForm({**assumed, **query.dict()})
    if not form.is_valid():
        return {"form": form}
    wanted = form.cleaned_data
    ranks = {wanted["rank"]: wanted["styles"]}
    limits = replace(limits, max_loras=wanted["slots"])
    memory = capacity.estimate_memory(layers, limits, ranks)
    adapter = capacity.adapter_bytes(layers.widths, wanted["rank"], limits.number_bytes)
    apart = Comparison(wanted["styles"], int(wanted["model_gb"] * GB), adapter)
    gpu_bytes = int(wanted["gpu_gb"] * GB)
    return {
        "form": form,
        "memory": list(_parts(memory)),
        "total": _size(memory.total_bytes),
        "is_too_large": memory.total_bytes > gpu_bytes * limits.replicas,
        "is_rank_too_high": wanted["rank"] > engine.max_lora_rank,
        "by_rank": list(_rank_rows(capacity.estimate_by_rank(layers, limits, ranks), limits)),
        "apart": list(_compare(apart, memory)),
        "gpus_apart": -(-apart.apart_bytes // gpu_bytes),
        "gpus_together": -(-memory.total_bytes // gpu_bytes),
        "saved": f"{1 - memory.total_bytes / apart.apart_bytes:.1%}" if apart.apart_bytes else "",
    }


def _assume(engine: Engine, layers: Layers, limits: EngineLimits) -> dict[str, Any]:
    """Return what the form begins with: what is placed there now."""
    ranks = count_ranks(engine)
    model_bytes = layers.parameters * limits.number_bytes
    return {
        "styles": max(1, sum(ranks.values())),
        "rank": max((rank for rank in ranks if rank in RANKS), default=16),
        "slots": engine.max_loras,
        "model_gb": round(model_bytes / GB, 2),
        "gpu_gb": 80,
    }


def _parts(memory: Memory) -> Iterator[Part]:
    sizes = {
        "The base model": memory.base_bytes,
        "Slots": memory.slots_bytes,
        f"Memory cache, {memory.cached:,} style{pluralize(memory.cached)}": memory.cache_bytes,
        "On disk": memory.disk_bytes,
    }
    longest = max(sizes.values()) or 1
    for name, size in sizes.items():
        yield Part(name, _size(size), WIDTH_PERCENT * size / longest)


def _rank_rows(memory_by_rank: dict[int, Memory], limits: EngineLimits) -> Iterator[RankRow]:
    totals = {rank: memory.slots_bytes + memory.cache_bytes for rank, memory in memory_by_rank.items()}
    longest = max(totals.values(), default=1) or 1
    for rank, memory in memory_by_rank.items():
        percent = WIDTH_PERCENT * totals[rank] / longest
        is_now = rank == limits.max_lora_rank
        yield RankRow(rank, _size(memory.slot_bytes), _size(totals[rank]), percent, is_now)


def _compare(apart: Comparison, memory: Memory) -> Iterator[Part]:
    longest = max(apart.apart_bytes, memory.total_bytes) or 1
    full = f"{apart.styles:,} full model{pluralize(apart.styles)}"
    yield Part(full, _size(apart.apart_bytes), WIDTH_PERCENT * apart.apart_bytes / longest)
    here = f"One base with {apart.styles:,} style{pluralize(apart.styles)}"
    yield Part(here, _size(memory.total_bytes), WIDTH_PERCENT * memory.total_bytes / longest)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / GB:,.2f} GB" if size_bytes >= GB else f"{size_bytes / MB:,.1f} MB"
