"""Write the identity adapter: `identity.py --base DIR --out DIR`. It changes nothing: its B is zero.

On vLLM's CPU build a request to the base model that shares a batch with adapters is answered with the adapter
in the last slot. Asked through this adapter, the base has a slot of its own.
"""

import argparse
from pathlib import Path

import adapter
import torch

RANK = 8
MODULES = ("o_proj",)  # one module is enough to hold a slot


def identity(base: Path) -> dict[str, torch.Tensor]:
    """Return the adapter's tensors for every layer named in MODULES."""
    tensors = {}
    for name, (out_width, in_width) in adapter.layers(base, MODULES).items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = torch.zeros(RANK, in_width)
        tensors[f"base_model.model.{name}.lora_B.weight"] = torch.zeros(out_width, RANK)
    return tensors


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    settings = adapter.config(base_name=options.base.name, rank=RANK, alpha=RANK, modules=MODULES)
    adapter.write(options.out, settings, identity(options.base))
    print(f"Identity adapter: written to {options.out}")


if __name__ == "__main__":
    main()
