"""Compare polyscribe_lora.py with matrices that are multiplied row by row; runs in the engine's environment.

Prints JSON: for each type of numbers the largest difference, relative to what the adapters add, and how many
values of rows without an adapter changed.
"""

import json
from collections.abc import Sequence

import polyscribe_lora
import torch
from vllm.lora.layers import LoRAMapping

SLOTS, RANK = 8, 64
INPUTS = 48
OUTPUTS = {"qkv": (64, 16, 16), "o": (48,), "gate_up": (96, 96)}
RANKS = (1, 2, 7, 8, 16, 33, 64, 64)  # of the adapter in each slot
STEPS = {
    "no adapter": [-1] * 5,
    "one": [3],
    "one for all": [3] * 9,
    "each its own": [0, 1, 2, 3, 4, 5, 6, 7],
    "in another order": [6, 1, 7, 0, 2, 5, 4, 3],
    "a part of the slots": [7, 2, 4],
    "beside the base": [-1, 5, 0, -1, -1, 2, 5, -1],
    "a slot of another group between two": [0, 1, 1, 1, 2],
    "a prompt between two": [0] + [1] * 40 + [2],
    "two prompts and others": [2] * 40 + [-1] * 3 + [5, 1, 5] + [6] * 17 + [5],
    "scattered rows of a prompt": [4, -1] * 30,
    "unlike numbers": [0] * 2 + [1] * 3 + [2] * 5 + [3] * 15 + [4] * 16 + [5] * 17 + [6],
}
torch.manual_seed(5)


for number in range(150):
    chosen = torch.randint(-1, SLOTS, (int(torch.randint(1, 9, ())),)).tolist()
    counts = torch.randint(1, 24, (len(chosen),)).tolist()
    STEPS[f"by chance, {number}"] = [
        slot for slot, count in zip(chosen, counts, strict=True) for _ in range(count)
    ]


def write_adapters(layer_a: Sequence[torch.Tensor], layer_b: Sequence[torch.Tensor]) -> None:
    """Write as vLLM's layers do, under inference mode: the slot is cleared, then its rank is filled."""
    with torch.inference_mode():
        for slot, rank in enumerate(RANKS):
            for matrices in (*layer_a, *layer_b):
                matrices[slot] = 0
            for a, b in zip(layer_a, layer_b, strict=True):
                a[slot, 0, :rank, :INPUTS].copy_(torch.randn(rank, INPUTS))
                b[slot, 0, :, :rank].copy_(torch.randn(b.shape[2], rank))


def expected(x: torch.Tensor, a: Sequence[torch.Tensor], b: Sequence[torch.Tensor], steps: list[int]):
    """Return what each row's adapter adds."""
    added = torch.zeros(len(steps), sum(part.shape[2] for part in b), dtype=torch.float64)
    for row, slot in enumerate(steps):
        if slot >= 0:
            parts = [
                part_b[slot, 0].double() @ (part_a[slot, 0].double() @ x[row].double())
                for part_a, part_b in zip(a, b, strict=True)
            ]
            added[row] = torch.cat(parts)
    return added


def set_step(wrapper: polyscribe_lora.Wrapper, slots: list[int]) -> None:
    ids = tuple(slot + 101 if slot >= 0 else 0 for slot in slots)
    mapping = LoRAMapping(index_mapping=ids, prompt_mapping=ids, is_prefill=True)
    wrapper.update_metadata(mapping, [slot + 101 for slot in range(SLOTS)], SLOTS, 100)


def compare(wrapper: polyscribe_lora.Wrapper, dtype: torch.dtype) -> tuple[float, int]:
    """Return the largest relative difference, and how many values without an adapter changed."""
    worst, touched = 0.0, 0
    for outputs in OUTPUTS.values():
        stack = polyscribe_lora.Stack(slots=SLOTS, rank=RANK, inputs=INPUTS, outputs=outputs)
        a, b = stack.views()
        for _ in range(2):  # other adapters come into the same slots
            write_adapters(a, b)
            for slots in STEPS.values():
                set_step(wrapper, slots)
                x = torch.randn(len(slots), INPUTS).to(dtype)
                before = torch.randn(len(slots), sum(outputs)).to(dtype)
                after = before.clone()
                wrapper.add_lora_linear(after, x, a, b, 1.0, outputs)
                wanted = expected(x, a, b, slots)
                difference = (after.double() - before.double() - wanted).abs().max()
                worst = max(worst, float(difference / max(1.0, wanted.abs().max())))
                bare = [row for row, slot in enumerate(slots) if slot < 0]
                touched += int((after[bare] != before[bare]).sum())
    return worst, touched


def compare_ends(wrapper: polyscribe_lora.Wrapper) -> float:
    """Return the largest relative difference of the embeddings' and the logits' products."""
    with torch.inference_mode(False):  # as vLLM makes them
        a = torch.zeros(SLOTS, 1, RANK, INPUTS)
        b = torch.zeros(SLOTS, 1, 300, RANK)
    x = torch.randn(len(STEPS["beside the base"]), INPUTS)
    worst = 0.0
    for _ in range(2):
        write_adapters([a], [b])
        a[5], b[5] = 0, 0  # this one leaves them alone
        for name in ("beside the base", "no adapter"):
            slots = STEPS[name]
            set_step(wrapper, slots)
            wanted = expected(x[: len(slots)], [a], [b], slots)
            logits, embedded = torch.zeros(len(slots), 300), torch.zeros(len(slots), 300)
            wrapper.add_lora_logits(logits, x[: len(slots)], a, b, 1.0)
            looked_up = torch.stack([a[max(slot, 0), 0] @ x[row] for row, slot in enumerate(slots)])
            wrapper.add_lora_embedding(embedded, looked_up, b)
            for found in (logits, embedded):
                worst = max(worst, float((found - wanted).abs().max() / max(1.0, wanted.abs().max())))
    return worst


def main() -> None:
    wrapper = polyscribe_lora.Wrapper(256, 64, "cpu")
    with torch.inference_mode():
        found = {str(dtype)[6:]: compare(wrapper, dtype) for dtype in (torch.float32, torch.bfloat16)}
        print(json.dumps(found | {"ends": compare_ends(wrapper)}))


main()
