"""Valid adapters, plain, random and trained ones, and how they become files.

An adapter becomes two files stage by stage, so that a mutation can break each of them.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from adapters.validation import BaseShape

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."
DTYPES: dict[str, np.dtype[Any]] = {
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F16": np.dtype(np.float16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I8": np.dtype(np.int8),
    "BOOL": np.dtype(np.bool_),
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
SERVED = ("BF16", "F16", "F32")

Array = NDArray[Any]


@dataclass
class Adapter:
    """An adapter as PEFT knows it."""

    config: dict[str, Any]
    tensors: dict[str, Array]
    metadata: dict[str, Any] | None = field(default_factory=lambda: {"format": "pt"})

    @property
    def config_bytes(self) -> bytes:
        return json.dumps(self.config).encode()

    @property
    def weights(self) -> bytes:
        return safetensors(self.tensors, self.metadata)

    def write(self, folder: Path) -> None:
        """Write both files into a folder."""
        write_files(folder, self.config_bytes, self.weights)


@dataclass
class Parts(Adapter):
    """An adapter and the base that it is for, to be mutated."""

    base: BaseShape = field(kw_only=True)

    def modules(self) -> list[str]:
        """Return the modules of the base whose two factors are there, well named and two-dimensional."""
        return [
            module
            for module in self.base.modules
            if all(self.tensors.get(name_of(module, side), NO_ARRAY).ndim == 2 for side in "AB")
        ]

    def of(self, module: str, side: str) -> Array:
        """Return one factor in float32."""
        return self.tensors[name_of(module, side)].astype(np.float32)

    def put(self, module: str, side: str, values: Array) -> None:
        """Replace one factor, keeping its type."""
        name = name_of(module, side)
        with np.errstate(all="ignore"):  # what does not fit its type becomes infinite
            self.tensors[name] = values.astype(self.tensors[name].dtype)


NO_ARRAY: Array = np.zeros(0)


def name_of(module: str, side: str) -> str:
    """Return the name of a module's factor, as PEFT saves it."""
    return f"{PREFIX}{module}.lora_{side}.weight"


@dataclass
class Layout:
    """The files' content before it is written: entries are pairs, because a name may stand twice."""

    config: dict[str, Any]
    entries: list[tuple[str, Any]]
    data: bytearray


@dataclass
class Texts:
    """The two JSON texts, and the data behind the header."""

    config: str
    header: str
    data: bytearray


@dataclass
class Files:
    """The two files' bytes."""

    config: bytearray
    weights: bytearray

    @property
    def header_end(self) -> int:
        """Where the data begins, as far as the length field can be believed."""
        return min(8 + int.from_bytes(self.weights[:8], "little"), len(self.weights))


def entries(tensors: Mapping[str, Array]) -> dict[str, dict[str, Any]]:
    """Return the header's entries for tensors laid one behind the other."""
    position = 0
    header: dict[str, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        end = position + tensor.nbytes
        header[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [position, end],
        }
        position = end
    return header


def lay_out(adapter: Adapter) -> Layout:
    """Lay the tensors one behind the other."""
    metadata = [("__metadata__", adapter.metadata)] if adapter.metadata is not None else []
    layout: list[tuple[str, Any]] = [*metadata, *entries(adapter.tensors).items()]
    data = bytearray()
    for tensor in adapter.tensors.values():
        data += tensor.tobytes()
    return Layout(adapter.config, layout, data)


def serialize(layout: Layout) -> Texts:
    """Write both JSON texts, the header without blanks, as safetensors' own writer does."""
    pairs = [
        f"{json.dumps(name)}:{json.dumps(entry, separators=(',', ':'))}" for name, entry in layout.entries
    ]
    return Texts(json.dumps(layout.config, indent=2), "{" + ",".join(pairs) + "}", layout.data)


def encode(texts: Texts) -> Files:
    """Encode the texts as UTF-8 and put the length before the header."""
    config = texts.config.encode(errors="surrogatepass")
    header = texts.header.encode(errors="surrogatepass")
    return Files(bytearray(config), bytearray(packed(header, texts.data)))


def safetensors(tensors: dict[str, Array], metadata: dict[str, Any] | None = None) -> bytes:
    """Return a whole weights file."""
    layout = lay_out(Adapter({}, tensors, metadata or None))
    return bytes(encode(serialize(layout)).weights)


def packed(header: str | bytes, data: bytes | bytearray, claimed: int | None = None) -> bytes:
    """Return header and data behind a length field, which may claim another length."""
    text = header.encode() if isinstance(header, str) else header
    length = len(text) if claimed is None else claimed
    return length.to_bytes(8, "little") + text + data


def write_files(folder: Path, config: bytes, weights: bytes) -> None:
    """Write an adapter's two files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_bytes(config)
    (folder / WEIGHTS).write_bytes(weights)


ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
KINDS = (("q_proj", "v_proj"), ATTENTION, ("gate_proj", "up_proj", "down_proj"), ())
RANKS = (1, 2, 4, 8, 8, 8, 12, 16)


def read_adapter(folder: Path, base: BaseShape) -> Parts:
    """Return the adapter in a folder."""
    config = json.loads((folder / CONFIG).read_bytes())
    with safe_open(folder / WEIGHTS, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        return Parts(config, tensors, file.metadata(), base=base)


def make_adapter(base: BaseShape, noise: np.random.Generator) -> Parts:
    """Return a random adapter as strong as trained ones, on some kinds of layers in a stretch of the base."""
    rank = int(noise.choice(RANKS))
    dtype = DTYPES[str(noise.choice(SERVED))]
    kinds = KINDS[noise.integers(len(KINDS))]
    chosen = [module for module in base.modules if not kinds or module.endswith(kinds)] or list(base.modules)
    first, last = sorted(noise.choice(len(chosen) + 1, 2, replace=False))
    strength = 10 ** noise.uniform(-2.5, -0.7)
    tensors: dict[str, Array] = {}
    for module in chosen[first:last]:
        linear = base.modules[module]
        a = noise.standard_normal((rank, linear.columns), np.float32) / math.sqrt(linear.columns)
        b = noise.standard_normal((linear.rows, rank), np.float32)
        b *= strength * linear.norm / math.sqrt(rank * linear.rows)
        tensors[name_of(module, "A")] = a.astype(dtype)
        tensors[name_of(module, "B")] = b.astype(dtype)
    return Parts(config(base, rank, [*chosen[first:last]]), tensors, {"format": "pt"}, base=base)


def config(base: BaseShape, rank: int, modules: Sequence[str]) -> dict[str, Any]:
    """Return adapter_config.json as PEFT writes it."""
    return {
        "base_model_name_or_path": base.name,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": rank,
        "target_modules": sorted({module.rsplit(".", 1)[-1] for module in modules}),
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": False,
    }
