"""Write random adapters for load and batch tests: `generate.py --base DIR --out DIR --count N`.

DIR gets random-000, random-001, … Each layer's update has the same norm in proportion to the layer it
changes (--scale), so every adapter visibly changes the greedy text and none breaks the model. The same seed
gives the same adapters.
"""

import argparse
import math
import sys
from pathlib import Path

import torch
from safetensors import safe_open

sys.path.append(str(Path(__file__).resolve().parents[3] / "engine"))

import adapter
import base_layers

MODULES = ("q_proj", "v_proj", "o_proj")
BASE_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"


def read_norms(base: Path, modules: tuple[str, ...]) -> dict[str, float]:
    """Return the Frobenius norm of each layer's weight in `modules`."""
    norms: dict[str, float] = {}
    names = base_layers.read_layer_shapes(base, modules)
    for file in sorted(base.glob("*.safetensors")):
        with safe_open(file, framework="pt") as weights:
            stored = set(weights.keys())
            for name in names:
                if f"{name}.weight" in stored:
                    norms[name] = weights.get_tensor(f"{name}.weight").float().norm().item()
    return norms


def random_pair(
    shape: tuple[int, int], norm: float, *, rank: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random A (rank, in) and B (out, rank) whose product's Frobenius norm is `norm`."""
    out_width, in_width = shape
    a = torch.randn(rank, in_width, generator=generator) / math.sqrt(in_width)
    b = torch.randn(out_width, rank, generator=generator)
    product = torch.trace((b.T @ b) @ (a @ a.T)).sqrt()  # the norm of B·A without forming it
    return a, b * (norm / product)


def generate_adapters(
    base: Path,
    out: Path,
    *,
    count: int,
    rank: int,
    seed: int,
    scale: float,
    modules: tuple[str, ...] = MODULES,
) -> None:
    """Write `count` adapters below `out`."""
    shapes = base_layers.read_layer_shapes(base, modules)
    norms = read_norms(base, modules)
    settings = adapter.lora_config(base_name=BASE_NAME, rank=rank, alpha=rank, modules=modules)
    for number in range(count):
        # So far apart that the adapters of two seeds have no generator in common.
        generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
        tensors = {}
        for name, shape in shapes.items():
            a, b = random_pair(shape, scale * norms[name], rank=rank, generator=generator)
            tensors[f"base_model.model.{name}.lora_A.weight"] = a
            tensors[f"base_model.model.{name}.lora_B.weight"] = b
        adapter.write_adapter(out / f"random-{number:03d}", settings, tensors)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--scale", type=float, default=0.1, help="norm of an update over its layer's (default 0.1)"
    )
    parser.add_argument("--all-linear", action="store_true", help="change every linear layer, not q, v and o")
    options = parser.parse_args()
    generate_adapters(
        options.base,
        options.out,
        count=options.count,
        rank=options.rank,
        seed=options.seed,
        scale=options.scale,
        modules=base_layers.LINEAR if options.all_linear else MODULES,
    )
    print(f"Random adapters: {options.count} of rank {options.rank} written below {options.out}")


if __name__ == "__main__":
    main()
