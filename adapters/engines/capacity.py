"""Capacity: what memory many styles take on one engine, by arithmetic from its flags and the base's shapes.

An engine keeps, beside the base model and its KV cache:
- **slots**: `max_loras` of them, allocated at start, each as large as an adapter of rank `max_lora_rank` on
  all linear layers, whatever is loaded: a layer takes rank · (columns + rows) numbers, on a CPU in float32
  (engine/extensions/polyscribe_lora.py), else in the engine's type. vLLM makes room for
  the embeddings and the output head as well (0.32, lora/layers/), though no adapter that we take has any;
- **memory cache**: up to `max_cpu_loras` adapters at their own rank, in the engine's number type;
- **disk**: every adapter as it was uploaded.

https://docs.vllm.ai/en/stable/features/lora/ names the flags; `make bench NAME=memory` checks the arithmetic
against a running engine (docs/capacity.md has the figures).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from adapters.validation import BaseShape

if TYPE_CHECKING:
    from adapters.models import Engine

BYTES_PER_NUMBER = {"float32": 4, "bfloat16": 2, "float16": 2}
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # what vLLM takes as --max-lora-rank (0.32, config/lora.py)
GB = 10**9

TRAINING_RANK = 8  # of engine/trainer's recipe
TRAINING_TOKENS = {"cpu": 1024, "cuda": 8192}  # that go through the network at once
KEPT_BYTES = 4  # of a number that is kept for the backward pass: autocast keeps casts beside the originals
LOGITS = 256 * 4 * 3  # places at once, in float32, with their gradient and probabilities
# Python, torch and transformers; on a GPU the context of its driver, too.
RUNTIME_BYTES = {"cpu": int(0.7 * GB), "cuda": int(1.5 * GB)}


@dataclass(frozen=True)
class Layers:
    """A base model as far as memory goes: the widths of its linear layers, and its other numbers."""

    widths: int  # Σ (columns + rows) over all linear layers
    parameters: int
    vocabulary_widths: int = 0  # the same of the embeddings and the output head, once where they are tied
    vocabulary: int = 0
    hidden: int = 0
    depth: int = 1  # layers

    @property
    def layer_widths(self) -> int:
        """Σ (columns + rows) of the linear layers of one layer."""
        return self.widths // self.depth

    @classmethod
    def of(cls, base: BaseShape) -> "Layers":
        """Return what is known of a base model. Its embeddings come from its config."""
        vocabulary = int(base.config.get("vocab_size") or 0)
        hidden = int(base.config.get("hidden_size") or 0)
        # Embeddings and output head are one matrix where they are tied.
        matrices = 1 if base.config.get("tie_word_embeddings") else 2
        widths = 0
        parameters = matrices * vocabulary * hidden
        for linear in base.modules.values():
            widths += linear.columns + linear.rows
            parameters += linear.columns * linear.rows
        return cls(
            widths,
            parameters,
            vocabulary_widths=matrices * (vocabulary + hidden),
            vocabulary=vocabulary,
            hidden=hidden,
            depth=max(1, int(base.config.get("num_hidden_layers") or 1)),
        )


@dataclass(frozen=True)
class EngineLimits:
    """The engine's flags that decide about memory. Those of a cluster are the sums over its replicas."""

    max_loras: int
    max_cpu_loras: int
    max_lora_rank: int
    dtype: str = "bfloat16"
    replicas: int = 1
    is_cpu: bool = False

    @classmethod
    def of(cls, engine: "Engine", base: BaseShape) -> "EngineLimits":
        """Return an engine's flags; it computes in its base model's own type."""
        dtype = base.dtype if base.dtype in BYTES_PER_NUMBER else "bfloat16"
        return cls(
            engine.max_loras,
            engine.max_cpu_loras,
            engine.max_lora_rank,
            dtype,
            engine.replicas,
            is_cpu=engine.device == "cpu",
        )

    @property
    def number_bytes(self) -> int:
        """Bytes of one number in the engine's type."""
        return BYTES_PER_NUMBER[self.dtype]


@dataclass(frozen=True)
class Memory:
    """What styles take on one engine, in bytes. The KV cache comes beside it, as it is configured."""

    base_bytes: int
    slot_bytes: int
    slots_bytes: int
    cached: int  # how many adapters the memory cache holds
    cache_bytes: int
    disk_bytes: int

    @property
    def total_bytes(self) -> int:
        """Base, slots and memory cache."""
        return self.base_bytes + self.slots_bytes + self.cache_bytes


@dataclass(frozen=True)
class TrainingMemory:
    """What training one style takes beside the engine, in bytes: upper bounds, see `estimate_training`."""

    base_bytes: int
    adapter_bytes: int
    work_bytes: int
    runtime_bytes: int

    @property
    def total_bytes(self) -> int:
        """All of it: on a CPU of main memory, on a GPU of the card's."""
        return self.base_bytes + self.adapter_bytes + self.work_bytes + self.runtime_bytes


@dataclass(frozen=True)
class Comparison:
    """So many styles as models of their own, against one base with adapters, in bytes."""

    styles: int
    model_bytes: int
    adapter_bytes: int

    @property
    def apart_bytes(self) -> int:
        """Each style a full model."""
        return self.styles * self.model_bytes

    @property
    def together_bytes(self) -> int:
        """One base and an adapter for each style."""
        return self.model_bytes + self.styles * self.adapter_bytes

    @property
    def saved(self) -> float:
        """The share that is saved, 0 to 1."""
        return 1 - self.together_bytes / self.apart_bytes


def adapter_bytes(widths: int, rank: int, number_bytes: int) -> int:
    """Return the size of an adapter on layers with these widths; `widths` is Σ (columns + rows)."""
    return widths * rank * number_bytes


def estimate_memory(layers: Layers, limits: EngineLimits, ranks: Mapping[int, int]) -> Memory:
    """Return what styles take; `ranks` is rank → how many adapters of it, on all linear layers.

    The memory cache holds the largest ones in the worst case, the same ones in every replica of a cluster,
    and that is what is counted.
    """
    slot_number_bytes = BYTES_PER_NUMBER["float32"] if limits.is_cpu else limits.number_bytes
    slot = adapter_bytes(layers.widths, limits.max_lora_rank, slot_number_bytes)
    slot += adapter_bytes(layers.vocabulary_widths, limits.max_lora_rank, limits.number_bytes)
    sizes: list[int] = []
    for rank, adapters in ranks.items():
        sizes += [adapter_bytes(layers.widths, rank, limits.number_bytes)] * adapters
    cached = sorted(sizes * limits.replicas, reverse=True)[: limits.max_cpu_loras]
    return Memory(
        base_bytes=layers.parameters * limits.number_bytes * limits.replicas,
        slot_bytes=slot,
        slots_bytes=slot * limits.max_loras,
        cached=len(cached),
        cache_bytes=sum(cached),
        disk_bytes=sum(sizes),
    )


def estimate_training(layers: Layers, *, device: str, is_quantised: bool = False) -> TrainingMemory:
    """Return what training a style of TRAINING_RANK takes on a device, "cpu" or "cuda".

    The base in bfloat16, or in 4 bits with their scales; the adapter, its gradient and Adam's two moments in
    float32; the numbers that are kept for the backward pass of the tokens that go through at once
    (engine/trainer/model.py): on a GPU each layer's input alone, the rest is computed again for one layer at
    a time. docs/capacity.md compares it with what was measured.
    """
    bits = 4.5 if is_quantised else 16
    is_gpu = device == "cuda"
    kept_widths = layers.depth * layers.hidden + layers.layer_widths if is_gpu else layers.widths
    return TrainingMemory(
        base_bytes=int(layers.parameters * bits / 8),
        adapter_bytes=4 * adapter_bytes(layers.widths, TRAINING_RANK, 4),
        work_bytes=TRAINING_TOKENS[device] * kept_widths * KEPT_BYTES + LOGITS * layers.vocabulary,
        runtime_bytes=RUNTIME_BYTES[device],
    )


def estimate_by_rank(layers: Layers, limits: EngineLimits, ranks: Mapping[int, int]) -> dict[int, Memory]:
    """Return the memory for every --max-lora-rank that would serve all these adapters."""
    highest = max(ranks, default=1)
    return {
        rank: estimate_memory(layers, replace(limits, max_lora_rank=rank), ranks)
        for rank in RANKS
        if rank >= highest
    }
