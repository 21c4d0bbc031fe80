"""The linear layers of a base model, which adapters change. Loads neither weights nor PyTorch."""

from pathlib import Path

from safetensors import safe_open

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class NoBase(SystemExit):
    """The folder holds no base model."""


def read_layer_shapes(base: Path, modules: tuple[str, ...] = LINEAR) -> dict[str, tuple[int, int]]:
    """Return the (output, input) width of each layer of `base` named in `modules`. Raises NoBase."""
    found: dict[str, tuple[int, int]] = {}
    for file in sorted(base.glob("*.safetensors")):
        with safe_open(file, framework="numpy") as weights:
            for key in weights.keys():  # noqa: SIM118 (not a dict)
                name = key.removesuffix(".weight")
                if name != key and name.rsplit(".", 1)[-1] in modules:
                    out_width, in_width = weights.get_slice(key).get_shape()
                    found[name] = (out_width, in_width)
    if not found:
        raise NoBase(f"{base} doesn't contain a base model. Create it with engine/prepare.py --out {base}")
    return dict(sorted(found.items()))
