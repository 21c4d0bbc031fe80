"""LoRA on a CPU: vLLM's layers add what their adapters change, in a few products for all rows of a step.

vLLM 0.32 copies an adapter's matrices for every token (`vllm/lora/ops/torch_ops/lora_ops.py`), and gives a
row without an adapter the one in the last slot. Here a layer keeps the matrices of all slots in tensors that
are multiplied as they are (`Stack`), and a step is planned once (`Plan`). Rows without an adapter stay as
they are.

Float32 throughout: oneDNN packs the operands of a bfloat16 product anew each time, which takes longer than
such a small product itself.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor
from vllm.lora.layers import (
    BaseLayerWithLoRA,
    LogitsProcessorWithLoRA,
    LoRAMapping,
    VocabParallelEmbeddingWithLoRA,
)
from vllm.lora.layers.base_linear import BaseLinearLayerWithLoRA
from vllm.lora.punica_wrapper.punica_base import PunicaWrapperBase
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU
from vllm.platforms.cpu import CpuPlatform

# More rows than this of one adapter are a product of their own: a prompt, and not some tokens being written.
MOST_ROWS_BESIDE_OTHERS = 16
Slots = tuple[int, ...]  # in ascending order
UNKNOWN_LAYERS = (
    "engine/extensions/polyscribe_lora.py doesn't know this vLLM's LoRA layers ({reason}). "
    "Set ENGINE_LORA=vllm to start with vLLM's own, which are slower."
)


class UnknownLayers(RuntimeError):
    """This vLLM keeps or uses adapters' matrices in another way than the one that is corrected here."""

    def __init__(self, reason: str) -> None:
        super().__init__(UNKNOWN_LAYERS.format(reason=reason))


class Stack:
    """A linear layer's matrices of all slots.

    `a` has shape (slots, rank, slices, input): a smaller rank of all slices is a contiguous part of it.
    `b` has a tensor of shape (slots, rank, output) for each slice. vLLM's layer gets views of both in the
    shapes that it knows, so what it writes into a slot stands here at once.
    """

    def __init__(self, *, slots: int, rank: int, inputs: int, outputs: Sequence[int]) -> None:
        with torch.inference_mode(False):  # those made within it have no version
            self.a = torch.zeros(slots, rank, len(outputs), inputs)
            self.b = [torch.zeros(slots, rank, width) for width in outputs]
        ends = list(accumulate(outputs))
        self.columns = [slice(end - width, end) for end, width in zip(ends, outputs, strict=True)]
        self._version = -1
        self._ranks: list[int] = []
        self._operands: dict[Slots, Operands | None] = {}
        self._copied: Slots = ()

    def views(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return the matrices as vLLM has them: (slots, 1, rank, input) and (slots, 1, output, rank)."""
        a = Slices(self.a[:, None, :, number] for number in range(len(self.b)))
        a.stack = self
        return a, tuple(b.transpose(1, 2)[:, None] for b in self.b)

    def ranks(self) -> list[int]:
        """Return the rank that each slot's adapter really has, 0 where it leaves this layer alone."""
        if self._version != self.a._version:  # vLLM has written into it, by a view
            self._version = self.a._version
            used = self.a.abs().amax((2, 3)) != 0  # NaN isn't 0 either
            self._ranks = (used * torch.arange(1, used.shape[1] + 1)).amax(1).tolist()
            self._operands.clear()
        return self._ranks

    def operands(self, slots: Slots) -> "Operands | None":
        """Return what is multiplied for rows in these slots; None where no adapter changes this layer."""
        ranks = self.ranks()
        try:
            return self._operands[slots]
        except KeyError:
            rank = max(ranks[slot] for slot in slots)
            found = self._operands[slots] = self._select(slots, rank) if rank else None
            return found

    def _select(self, slots: Slots, rank: int) -> "Operands":
        if len(slots) == 1:
            a = self.a[slots[0], :rank].flatten(0, 1)
            return Operands(rank, a.T, [b[slots[0], :rank] for b in self.b])
        first, last = slots[0], slots[-1]
        if last - first < len(slots):  # a part of what stands there
            a, parts = self.a[first : last + 1, :rank], [b[first : last + 1, :rank] for b in self.b]
        else:  # a copy, of at most half of the slots, and no more than one
            self._operands.pop(self._copied, None)
            self._copied = slots
            chosen = torch.tensor(slots)
            a, parts = self.a[chosen, :rank], [b[chosen, :rank] for b in self.b]
        return Operands(rank, a.flatten(1, 2).transpose(1, 2), parts)


class Operands(NamedTuple):
    """The matrices of one slot, or, with a first dimension, of several: A of all slices, B of each."""

    rank: int
    a: Tensor
    b: list[Tensor]


class Slices(tuple[Tensor, ...]):
    """`lora_a_stacked` of a layer: its views, and the stack that they show."""

    stack: Stack


@dataclass
class Group:
    """Rows of a step whose products are made together.

    `slots` are its adapters, each of which has `width` places for rows. `rows` are the rows in these places,
    and 0 in a place that is left over. `places` says for each of the step's rows where its result stands, if
    all of them are in this group.
    """

    slots: Slots
    width: int
    rows: Tensor
    run: slice | None  # the rows, where they follow each other
    is_whole: bool  # all rows of the step, in their order
    places: Tensor | None
    used: Tensor | None  # the places with rows, if some have none


def find_rows(slots: Sequence[int]) -> dict[int, list[int]]:
    """Return each slot's rows, by the slot of each row; -1 is a row without an adapter."""
    rows_of: defaultdict[int, list[int]] = defaultdict(list)
    for row, slot in enumerate(slots):
        if slot >= 0:
            rows_of[slot].append(row)
    return rows_of


class Plan:
    """The groups of a step's rows, by the slot of each row."""

    def __init__(self, slots: Sequence[int]) -> None:
        self.rows = len(slots)
        self.rows_of = find_rows(slots)
        together: defaultdict[int, list[int]] = defaultdict(list)
        for slot in sorted(self.rows_of):
            count = len(self.rows_of[slot])
            # Each slot of a group has places for as many rows as its largest: within a factor of two.
            is_prompt = count > MOST_ROWS_BESIDE_OTHERS
            together[~slot if is_prompt else (count - 1).bit_length()].append(slot)
        self.groups = [self._group(tuple(slots)) for slots in together.values()]

    def _group(self, slots: Slots) -> Group:
        rows_of = {slot: self.rows_of[slot] for slot in slots}  # slots between them may be another group's
        width = max(map(len, rows_of.values()))
        around = range(slots[0], slots[-1] + 1)
        if len(around) < 2 * len(slots):  # empty places cost less than a copy of the matrices, see `Stack`
            slots = tuple(around)
        rows = [row for slot in slots for row in _padded(rows_of.get(slot, []), width)]
        used = [place for place, row in enumerate(rows) if row >= 0]
        place_of = {rows[place]: place for place in used}
        is_everything = len(used) == self.rows
        follow = rows == list(range(rows[0], rows[0] + len(rows)))
        return Group(
            slots=slots,
            width=width,
            rows=torch.tensor([max(row, 0) for row in rows]),
            run=slice(rows[0], rows[-1] + 1) if follow else None,
            is_whole=rows == list(range(self.rows)),
            places=torch.tensor([place_of[row] for row in range(self.rows)]) if is_everything else None,
            used=torch.tensor(used) if len(used) < len(rows) else None,
        )


def _padded(rows: list[int], width: int) -> list[int]:
    return rows + [-1] * (width - len(rows))


class Wrapper(PunicaWrapperBase):
    """What vLLM's LoRA layers call. A step without adapters costs a call a layer, and nothing else."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._tokens = Plan([])
        self._samples: dict[int, list[int]] = {}
        self._changed: dict[int, tuple[int, list[bool]]] = {}

    def update_metadata(
        self,
        mapping: LoRAMapping,
        lora_index_to_id: list[int | None],
        max_loras: int,
        vocab_size: int,
        **keywords: Any,
    ) -> None:
        self._update_base_metadata(mapping, lora_index_to_id, max_loras, vocab_size)
        self._tokens = Plan(self.token_lora_indices.tolist())
        self._samples = find_rows(self.sampler_indices.tolist())

    def add_lora_linear(  # noqa: PLR0917 (vLLM's)
        self,
        y: Tensor,
        x: Tensor,
        lora_a_stacked: tuple[Tensor, ...],
        lora_b_stacked: tuple[Tensor, ...],
        scale: float,
        output_slices: tuple[int, ...],
        **keywords: Any,
    ) -> None:
        """Add to `y` (rows, outputs) what the adapters make of `x` (rows, inputs).

        `scale` is 1: vLLM puts an adapter's own into its B.
        """
        groups = self._tokens.groups
        if not groups:
            return
        stack: Stack = lora_a_stacked.stack  # type: ignore[attr-defined]  # see `install`
        for group in groups:
            operands = stack.operands(group.slots)
            if operands:
                _add(y, x, group, operands, stack.columns)

    def add_lora_logits(
        self,
        y: Tensor,
        x: Tensor,
        lora_a_stacked: Tensor,
        lora_b_stacked: Tensor,
        scale: float,
        **keywords: Any,
    ) -> None:
        """Add to the logits `y` what the adapters make of the last hidden states `x`, a row a sample."""
        for slot, rows in self._rows_of_changed(self._samples, lora_a_stacked):
            shrunk = x[rows].float() @ lora_a_stacked[slot, 0].float().T
            y[rows, : lora_b_stacked.shape[2]] += (shrunk @ lora_b_stacked[slot, 0].float().T).to(y.dtype)

    def add_lora_embedding(
        self, y: Tensor, x: Tensor, lora_b_stacked: Tensor, add_inputs: bool = True, **keywords: Any
    ) -> None:
        """Add to the embeddings `y` what the adapters make of `x`, the rows that they have for the tokens."""
        for slot, rows in self._rows_of_changed(self._tokens.rows_of, lora_b_stacked):
            y[rows] += (x[rows].float() @ lora_b_stacked[slot, 0].float().T).to(y.dtype)

    def _rows_of_changed(
        self, rows_of: dict[int, list[int]], matrices: Tensor
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield each slot that changes this layer, and its rows."""
        version, changed = self._changed.get(id(matrices), (-1, []))
        if version != matrices._version:
            changed = [bool(slot.any()) for slot in matrices]
            self._changed[id(matrices)] = (matrices._version, changed)
        for slot, rows in rows_of.items():
            if changed[slot]:
                yield slot, torch.tensor(rows)

    def add_shrink(self, *arguments: Any, **keywords: Any) -> None:
        raise UnknownLayers("a layer is sharded")

    def add_expand(self, *arguments: Any, **keywords: Any) -> None:
        raise UnknownLayers("a layer is sharded")

    def apply_lora_full_linear(self, *arguments: Any, **keywords: Any) -> None:
        raise UnknownLayers("a layer is replaced as a whole")


def _add(y: Tensor, x: Tensor, group: Group, operands: Operands, columns: list[slice]) -> None:
    """Add the products of a group's rows to theirs of `y`, slice by slice."""
    if group.run:
        if not group.is_whole:
            x, y = x[group.run], y[group.run]
        chosen = x.float()
    else:
        chosen = x.index_select(0, group.rows).float()
    multiply = torch.mm
    if len(group.slots) > 1:
        multiply = torch.bmm
        chosen = chosen.view(len(group.slots), group.width, -1)
    shrunk = multiply(chosen, operands.a)
    if len(columns) == 1:
        _add_rows(y, multiply(shrunk, operands.b[0]), group)
        return
    by_slice = shrunk.unflatten(-1, (operands.rank, -1)).movedim(-1, 0).contiguous()
    for h, b, part in zip(by_slice, operands.b, columns, strict=True):
        _add_rows(y[:, part], multiply(h, b), group)


def _add_rows(y: Tensor, added: Tensor, group: Group) -> None:
    added = added.to(y.dtype).view(-1, y.shape[1])  # to add float32 to bfloat16 takes far longer
    if group.run:
        y.add_(added)
    elif group.places is not None:  # a third of the time of index_add_
        y.add_(added.index_select(0, group.places))
    elif group.used is not None:
        y.index_add_(0, group.rows[group.used], added[group.used])
    else:
        y.index_add_(0, group.rows, added)


class VllmWrapper(PunicaWrapperCPU):
    """vLLM's own, but that it leaves rows without an adapter as they are (`ENGINE_LORA=vllm`)."""

    def add_lora_linear(self, y: Tensor, *arguments: Any, **keywords: Any) -> None:
        rows = torch.nonzero(self.token_lora_indices < 0).flatten()
        kept = y[rows]
        super().add_lora_linear(y, *arguments, **keywords)
        y[rows] = kept


def choose(wrapper: type[PunicaWrapperBase]) -> None:
    """Have vLLM use this wrapper for the model that it loads next."""
    CpuPlatform.get_punica_wrapper = classmethod(lambda cls: f"{__name__}.{wrapper.__name__}")


def install(model: torch.nn.Module) -> None:
    """Give the layers of a loaded model their stacks. Raises UnknownLayers."""
    for name, layer in model.named_modules():
        if isinstance(layer, BaseLinearLayerWithLoRA):
            _stack(name, layer)
        elif isinstance(layer, LogitsProcessorWithLoRA | VocabParallelEmbeddingWithLoRA):
            if layer.lora_a_stacked.is_inference():
                raise UnknownLayers(f"the matrices of {name} have no version")
        elif isinstance(layer, BaseLayerWithLoRA):
            raise UnknownLayers(f"{name} is a {type(layer).__name__}")


def _stack(name: str, layer: BaseLinearLayerWithLoRA) -> None:
    outputs = tuple(layer.output_slices)
    shapes_a = [tuple(a.shape) for a in layer.lora_a_stacked]
    shapes_b = [tuple(b.shape) for b in layer.lora_b_stacked]
    slots, rank, inputs = shapes_a[0][0], *shapes_a[0][-2:]
    if shapes_a != [(slots, 1, rank, inputs)] * len(outputs):
        raise UnknownLayers(f"lora_a_stacked of {name} has the shapes {shapes_a}")
    if shapes_b != [(slots, 1, output, rank) for output in outputs]:
        raise UnknownLayers(f"lora_b_stacked of {name} has the shapes {shapes_b}")
    if layer.tp_size > 1:
        raise UnknownLayers(f"{name} is sharded")
    stack = Stack(slots=slots, rank=rank, inputs=inputs, outputs=outputs)
    layer.lora_a_stacked, layer.lora_b_stacked = stack.views()
    if not _is_written(layer, stack):
        raise UnknownLayers(f"set_lora of {name} doesn't write where its product reads")


def _is_written(layer: BaseLinearLayerWithLoRA, stack: Stack) -> bool:
    """Return whether an adapter that vLLM puts into a slot arrives, and whether it goes again."""
    a = [torch.ones(1, stack.a.shape[3]) for _ in stack.b]
    b = [torch.ones(part.shape[2], 1) for part in stack.b]
    layer.set_lora(0, *((a, b) if len(a) > 1 else (a[0], b[0])))
    arrived = all(part[0, 0].all() for part in (stack.a, *stack.b)) and stack.ranks()[0] == 1
    layer.reset_lora(0)
    return arrived and stack.ranks()[0] == 0 and not any(part[0].any() for part in stack.b)
