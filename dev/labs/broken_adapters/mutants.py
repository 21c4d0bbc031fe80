"""Mutants as Hypothesis strategies: adapters that were right, changed in one to four ways.

Tests draw them from `mutants(base)`, and Hypothesis makes what fails smaller. `generate_mutants` returns the
same ones for the same seed, for `make trial NAME=fuzz`.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from adapters.validation import BOUND, BaseShape
from labs.broken_adapters.fields import (
    ALPHAS,
    BASE_NAMES,
    EXPRESSIONS,
    FIELDS,
    ODD,
    PATTERN_NAMES,
    RANKS,
    TARGETS,
    UNKNOWN,
)
from labs.broken_adapters.parts import (
    DTYPES,
    PREFIX,
    SERVED,
    Adapter,
    Array,
    Files,
    Layout,
    Parts,
    Texts,
    encode,
    lay_out,
    make_adapter,
    serialize,
)

COUNTS = (1, 1, 1, 1, 1, 2, 2, 2, 3, 4)  # changes of one mutant
RENAMES = [
    *[("q_proj", "qkv_proj"), ("gate_proj", "gate_up_proj"), ("v_proj", "k_proj"), ("mlp", "MLP")],
    *[("layers.0.", "layers.00."), ("layers.1.", "layers.1001."), ("layers.2.", "layers.-2.")],
    *[("self_attn", "self_attn.self_attn"), (".weight", ".default.weight"), (".weight", ".weight ")],
    *[("lora_A", "lora_a"), ("lora_B", "lora_C"), (".lora_B", ".base_layer.lora_B")],
    *[(PREFIX, ""), (PREFIX, PREFIX * 2), (PREFIX, "module." + PREFIX), ("model.layers", "layers")],
    *[("v_proj", "\u0475_proj"), ("down_proj", "down_proj\x00"), (".lora_A.", ".lora_embedding_A.")],
]
STRANGERS = [
    *["{prefix}model.embed_tokens.lora_embedding_A", "{prefix}lm_head.lora_A.weight", "{module}.weight"],
    *["{module}.lora_magnitude_vector", "{module}.lora_B.bias", "{module}.base_layer.weight", "", "é"],
    *["{prefix}model.layers.0.lora_A.weight", "{module}.modules_to_save.weight", "__metadata__x"],
]
METADATA: list[Any] = [
    *[None, {}, {"format": "np"}, {"é\u202e": "\x00"}, {"x": "y" * 200_000}],
    *[{"format": 1}, {"a": None}, {"a": ["b"]}, {"a": {"b": "c"}}, {"\ud800": "x"}],
]
VALUES = [math.nan, math.inf, -math.inf, 65_504.0, 1e9, 3.3e38, -1_001.0, 999.0, 1.0, 1e-40, 6e-8, -0.0]
NEARLY = (0.5, 0.9, 0.99, 0.99, 0.999, 1.001, 1.5)  # shares of the strongest that validation takes
ENTRY_NAMES = ["", "\x00", "é", "\ud800", "x" * 100_000, "__metadata__", "\u202e", ".lora_A" * 5000]
DTYPE_NAMES: list[Any] = [*DTYPES, "F16", "F16", "BF16", "F8_E8M0", "F4", "U16", "bf16", "", None, 16]
SHAPES: list[Any] = [
    *[[], [0], [8], [8, -576], [8, 576, 1], [576, 8], [0, 576], [2**32, 2**32], [True, 576], [8.0, 576]],
    *["8x576", None, {}, [1] * 9, [9_000_000_000] * 60, [[8, 576]]],
]
NUMBERS: list[Any] = [-1, 0, 7, True, None, 8.0, 1e3, "8", [], 2**31, 2**53, 2**63, 2**64, 10**4000]
ENTRIES: list[Any] = [None, [], "x", 8, {}]
# A pattern, and what stands in the place of what it finds. `{}` is that, `\\u` its code.
SPELLINGS = [
    *[(r"(?<![\w.])\d+(?![\w.])", f"{{}}{end}") for end in (".0", "e0", ".5", "0", "n", "_0", "e999", "٨")],
    *[(r"(?<![\w.])\d+(?![\w.])", new) for new in ("0{}", "-{}", "+{}", "{}" * 50, "-0", "NaN", "0x{}")],
    *[(r"(?<![\\a-z])[a-z](?=[a-z_]{3})", "\\u")] * 6,
    *[(r"[:,{](?=\")", f"{{}}{blank}") for blank in (" ", "\n", "\r\n", " " * 5000, "\xa0", "\x0b", "\x00")],
    *[(r".", new) for new in ("'", "{}}", "{}{", "[", "\\", "\x00", "{}\t", "\ufeff", "{}//", "{}é", "\x7f")],
]
TEXTS = ["", "{}", "[]", "null", '"x"', "[" * 50_000, '{"a":' * 50_000, "{}{}"]
REPEATED = ['"r": 16', '"lora_alpha": 1e12', '"use_dora": true', '"x": 1', '"bias": "all"']
NESTED = ["note", "modules_to_save", "quantization_config", "peft_type", "bias"]
BYTES = (1, 2, 8, 4096)


@dataclass(frozen=True)
class Mutant:
    """The two files of a mutated adapter; the weights can be read by range, as `examine` does."""

    mutations: tuple[str, ...]
    config: bytes
    weights: bytes

    @property
    def size(self) -> int:
        """The length of the weights' file in bytes."""
        return len(self.weights)

    def read(self, start: int, length: int) -> bytes:
        """Return bytes of the weights' file."""
        return self.weights[start : start + length]


class Chance:
    """What Hypothesis draws, by shorter names."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def one[Thing](self, things: Iterable[Thing]) -> Thing:
        return self._draw(st.sampled_from(list(things)))

    def some[Thing](self, things: Iterable[Thing], most: int = 40) -> list[Thing]:
        """Return at least one of the things, if there are any."""
        known = list(things)
        if not known:
            return []
        most = min(most, len(known))
        return self._draw(st.lists(st.sampled_from(known), min_size=1, max_size=most, unique=True))

    def number(self, least: int, most: int) -> int:
        return self._draw(st.integers(least, most))

    def power(self, least: float, most: float) -> float:
        """Return ten to a power between the two."""
        return float(10.0 ** self._draw(st.floats(least, most)))

    def noise(self) -> np.random.Generator:
        """Return what fills whole arrays."""
        return np.random.default_rng(self.number(0, 2**32))


def set_field(parts: Parts, chance: Chance) -> None:
    """Set a field that PEFT knows to something that is seen there."""
    name = chance.one(FIELDS)
    parts.config[name] = chance.one(FIELDS[name])


def set_odd_value(parts: Parts, chance: Chance) -> None:
    """Set any field, or one that nobody knows, to a value of any kind; or leave it out."""
    name = chance.one([*FIELDS, "target_modules", *UNKNOWN])
    if chance.one([True, True, False]):
        parts.config[name] = chance.one(ODD)
    else:
        parts.config.pop(name, None)


def set_scale(parts: Parts, chance: Chance) -> None:
    """Scale lora_alpha far up or down, or say that the adapter is rank-stabilised."""
    if chance.one([True, False]):
        parts.config["use_rslora"] = True
    else:
        parts.config["lora_alpha"] = 16 * chance.one([chance.power(-6, 12), chance.power(-2, 1)])


def set_targets(parts: Parts, chance: Chance) -> None:
    """Name other target modules, or name them otherwise."""
    kinds = sorted({module.rsplit(".", 1)[-1] for module in parts.modules()})
    endings = [module.split(".", 1)[-1] for module in parts.modules()]
    parts.config["target_modules"] = chance.one([*TARGETS, parts.modules(), endings, kinds[1:], kinds * 2])


def set_base_name(parts: Parts, chance: Chance) -> None:
    """Spell the base model's name otherwise, or name another."""
    name = chance.one([parts.base.name, parts.base.name.upper()])
    parts.config["base_model_name_or_path"] = chance.one(BASE_NAMES).format(base=name)


def set_patterns(parts: Parts, chance: Chance) -> None:
    """Give single modules ranks or scales that the tensors may not know, a few or many."""
    field, values = chance.one([("rank_pattern", RANKS), ("alpha_pattern", ALPHAS)])
    keys = [chance.one(EXPRESSIONS).format(chance.one(PATTERN_NAMES)) for _ in range(chance.number(1, 4))]
    keys += chance.one([[], chance.some(parts.modules(), 3), [f"absent{n}" for n in range(240)]])
    parts.config[field] = {key: chance.one(values) for key in keys}


def pad_config(parts: Parts, chance: Chance) -> None:
    """Make the config large, by a text or by many names."""
    absent = [f"absent{number}" for number in range(chance.one([100, 3000, 5000]))]
    kinds = sorted({module.rsplit(".", 1)[-1] for module in parts.base.modules})
    field, value = chance.one(
        [("note", "x" * 40_000), ("note", "x" * 70_000), ("target_modules", [*absent, *kinds])]
    )
    parts.config[field] = value


def drop_tensors(parts: Parts, chance: Chance) -> None:
    """Drop whole layers, single modules, or half a pair."""
    layers = [f".layers.{number}." for number in range(3)]
    halves = chance.some(parts.tensors, 1)
    dropped = chance.one([chance.some(layers), chance.some(parts.modules()), halves])
    parts.tensors = {
        name: tensor for name, tensor in parts.tensors.items() if not any(part in name for part in dropped)
    }


def move_tensors(parts: Parts, chance: Chance) -> None:
    """Let modules have each other's tensors, mostly of the same shape; and lay all in another order."""
    names = chance.some(parts.tensors)
    for one, two in zip(names[::2], names[1::2], strict=False):
        if parts.tensors[one].shape == parts.tensors[two].shape or chance.number(0, 50) == 50:
            parts.tensors[one], parts.tensors[two] = parts.tensors[two], parts.tensors[one]
    for name in names:
        parts.tensors[name] = parts.tensors.pop(name)


def rename_tensors(parts: Parts, chance: Chance) -> None:
    """Change a part of some names: other layers, modules, prefixes, look-alikes."""
    before, after = chance.one(RENAMES)
    chosen = set(chance.one([chance.some(parts.tensors), list(parts.tensors)]))
    parts.tensors = {
        name.replace(before, after) if name in chosen else name: tensor
        for name, tensor in parts.tensors.items()
    }


def add_stranger(parts: Parts, chance: Chance) -> None:
    """Add a tensor that is no LoRA weight, or say something else in the metadata."""
    module = PREFIX + chance.one(parts.base.modules)
    shape = chance.one([(0,), (1,), (8, 576), (576, 8), (2, 2, 2), ()])
    stranger = np.ones(shape, DTYPES[chance.one([*SERVED, "I64"])])
    if chance.one([True, False]):
        parts.tensors[chance.one(STRANGERS).format(prefix=PREFIX, module=module)] = stranger
    else:
        parts.metadata = chance.one(METADATA)


def reshape_tensors(parts: Parts, chance: Chance) -> None:
    """Give tensors another shape, with as many values or with one row less or more."""
    for name in chance.some(parts.tensors, 3):
        tensor = np.atleast_2d(parts.tensors[name])
        turned = [tensor.T, tensor.reshape(-1), tensor[None], tensor[..., None]]
        cut = [tensor[:0], tensor[:-1], tensor[..., :-1], np.concatenate([tensor, tensor])]
        parts.tensors[name] = [*turned, *cut][chance.number(0, 7)].copy()


def cast_tensors(parts: Parts, chance: Chance) -> None:
    """Save something, or everything, in another type, which engines mostly take."""
    dtype = DTYPES[chance.one([*SERVED * 4, *DTYPES])]
    for name in chance.one([chance.some(parts.tensors), list(parts.tensors)]):
        with np.errstate(all="ignore"):
            parts.tensors[name] = parts.tensors[name].astype(dtype)


def set_ranks(parts: Parts, chance: Chance) -> None:
    """Cut or repeat factors up to another rank, of single modules or of all, and say so in the config."""
    everywhere = chance.one([True, False])
    rank = chance.one([1, 2, 3, 7, 11, 15, 16, 16, 17, 24])
    ranks: dict[str, int] = {}
    for module in parts.modules() if everywhere else chance.some(parts.modules(), 12):
        if not everywhere:
            rank = chance.one([1, 2, 3, 5, 8, 13, 16] * 4 + [0, 17, 64])
            ranks["^" * chance.number(0, 1) + module] = rank
        a, b = parts.of(module, "A"), parts.of(module, "B")
        times = -(-rank // max(1, len(a)))
        parts.put(module, "A", np.tile(a, (times, 1))[:rank])
        parts.put(module, "B", np.tile(b, (1, times))[:, :rank])
    parts.config.update({"r": rank} if everywhere else {}, rank_pattern=ranks)


def scale_values(parts: Parts, chance: Chance) -> None:
    """Make one side of some pairs larger or smaller; or A by what B is made smaller: their product stays."""
    factor = chance.one([chance.power(-1, 1), chance.power(-6, 12), chance.power(-40, 30)])
    side = chance.one(["A", "B", "AB"])
    for module in chance.one([parts.modules(), chance.some(parts.modules(), 3)]):
        _change(parts, module, side[0], lambda values: values * factor)
        if side == "AB":
            _change(parts, module, "B", lambda values: values / factor)


def let_factors_cancel(parts: Parts, chance: Chance) -> None:
    """Add to single pairs two ranks that undo each other, up to what validation takes and beyond."""
    size = chance.power(-2, 3)
    for module in chance.some(parts.modules(), 8):
        a, b = parts.of(module, "A"), parts.of(module, "B")
        if len(a) == b.shape[1] > 1:
            a[0] = a[1] = size * np.sign(a[0] + 1e-9)
            b[:, 0], b[:, 1] = size, -size
            parts.put(module, "A", a)
            parts.put(module, "B", b)


def go_to_bound(parts: Parts, chance: Chance) -> None:
    """Stretch modules to nearly the strength that validation takes, or just over it.

    Some answer every input in one constant direction then.
    """
    share = chance.one(NEARLY)
    is_one_way = chance.one([True, False, False])
    for module in chance.one([parts.modules(), chance.some(parts.modules(), 8)]):
        if is_one_way:
            _change(parts, module, "A", lambda values: np.sign(values + 1e-9))
            _change(parts, module, "B", np.ones_like)
        _stretch(parts, module, share * BOUND)


def put_values(parts: Parts, chance: Chance) -> None:
    """Put single values somewhere that are extreme, or not even numbers; or let rows vanish."""
    for name in chance.some(parts.tensors, 3):
        tensor = parts.tensors[name].copy()
        if not tensor.size or tensor.dtype.kind in "iub":
            continue
        value = chance.one([*VALUES, 0.0, 0.0])
        length = chance.one([1, 1, 20, tensor.size]) if value == 0.0 else 1
        start = chance.number(0, tensor.size - 1)
        with np.errstate(all="ignore"):
            tensor.reshape(-1)[start : start + length] = value
        parts.tensors[name] = tensor


def add_noise(parts: Parts, chance: Chance) -> None:
    """Add noise in proportion to the values' own size."""
    share, side, noise = chance.power(-3, 0.5), chance.one("AB"), chance.noise()
    for module in chance.some(parts.modules(), 30):
        values = parts.of(module, side)
        added = share * values.std() * noise.standard_normal(values.shape, np.float32)
        parts.put(module, side, values + added)


def change_entries(layout: Layout, chance: Chance) -> None:
    """Let one to three entries state another name, type, shape or place, or be something else."""
    places = [place for place, (_, entry) in enumerate(layout.entries) if _is_whole(entry)]
    field = chance.one(["name", "dtype", "dtype", "shape", "data_offsets", "data_offsets", "entry"])
    for place in chance.some(places, 3):
        name, entry = layout.entries[place]
        start, end = entry["data_offsets"]
        by = chance.one([-start - 1, -2, -1, 1, 2, 8, end - start, len(layout.data), 2**62])
        odd = [chance.one(NUMBERS), chance.one(NUMBERS)]
        offsets = [[start + by, end + by], [start, end + by], [start + by, end], [end, start], [start], odd]
        if field == "name":
            name = chance.one([*ENTRY_NAMES, *(other for other, _ in layout.entries)])
        elif field == "entry":
            without = dict(list(entry.items())[1:])
            entry = chance.one([*ENTRIES, without, entry | {"extra": 1}, [entry]])
        else:
            options = {"dtype": DTYPE_NAMES, "shape": SHAPES, "data_offsets": offsets}
            entry = entry | {field: chance.one(options[field])}
        layout.entries[place] = (name, entry)


def reinterpret_all(layout: Layout, chance: Chance) -> None:
    """Read all bytes as the other type of the same width."""
    other = {"BF16": "F16", "F16": "BF16", "F32": "I32"}
    for _, entry in layout.entries:
        if isinstance(entry, dict) and entry.get("dtype") in other:
            entry["dtype"] = other[entry["dtype"]]


def swap_places(layout: Layout, chance: Chance) -> None:
    """Let two entries have each other's places, which may keep the file well formed; or share one."""
    tensors = [entry for _, entry in layout.entries if _is_whole(entry)]
    if tensors:
        one, two = chance.one(tensors), chance.one(tensors)
        one["data_offsets"], two["data_offsets"] = two["data_offsets"], one["data_offsets"]
        if chance.one([False, False, True]):
            one["data_offsets"] = two["data_offsets"]


def list_otherwise(layout: Layout, chance: Chance) -> None:
    """List the entries in another order, or one of them twice; their places stay."""
    if layout.entries:
        entry = layout.entries.pop(chance.number(0, len(layout.entries) - 1))
        layout.entries[:0] = [entry] * chance.one([1, 1, 2])


def hide_bytes(layout: Layout, chance: Chance) -> None:
    """Leave bytes behind the last tensor, or take some away."""
    if chance.one([True, False]):
        layout.data += bytes(chance.one(BYTES))
    else:
        del layout.data[-chance.one(BYTES) :]


def respell(texts: Texts, chance: Chance) -> None:
    r"""Spell a place of one of the two texts as readers may disagree on: 8.0, 08, -0, \u0061, a blank."""
    pattern, new = chance.one(SPELLINGS)
    field = chance.one(["header", "config"])
    text = getattr(texts, field)
    found = re.compile(pattern, re.DOTALL).search(text, chance.number(0, len(text)))
    if found:
        code = rf"\u{ord(found[0][0]):04x}"
        spelt = code if new == "\\u" else new.replace("{}", found[0])
        setattr(texts, field, text[: found.start()] + spelt + text[found.end() :])


def nest(texts: Texts, chance: Chance) -> None:
    """Put a deep nest into the config, where somebody or nobody reads it; or say a key twice."""
    depth = chance.one([5, 40, 300, 900, 5000, 9000, 30_000])
    opening, closing = chance.one([("[", "]"), ('{"a":', "}")])
    deep = f'"{chance.one(NESTED)}": {opening * depth}1{closing * depth}'
    said = chance.one([deep, deep, *REPEATED])
    texts.config = texts.config.replace("{", "{" + said + ",", 1)


def replace_text(texts: Texts, chance: Chance) -> None:
    """Lay the header out for people, or put another text in the place of one of the two."""
    kind = chance.one(["indent", "indent", "header", "config"])
    if kind != "indent":
        setattr(texts, kind, chance.one(TEXTS))
        return
    try:
        texts.header = json.dumps(json.loads(texts.header), indent=chance.one([1, 4]))
    except (ValueError, RecursionError):
        return


def flip_bits(files: Files, chance: Chance) -> None:
    """Flip one to eight bits of the header or its length, of the weights, or of the config."""
    stretches = [(files.weights, 0, files.header_end), (files.config, 0, len(files.config))]
    data = (files.weights, files.header_end, len(files.weights))
    file, start, end = [*stretches, data, data, data][chance.number(0, 4)]
    for _ in range(chance.one([1, 1, 2, 8])):
        if start < end:
            file[chance.number(start, end - 1)] ^= 1 << chance.number(0, 7)


def cut_or_insert(files: Files, chance: Chance) -> None:
    """Cut one of the files, take bytes out, or put some in."""
    file = [files.weights, files.weights, files.config][chance.number(0, 2)]
    at = min(
        len(file), chance.one([0, 4, 8, 9, 60, files.header_end, len(file), chance.number(0, len(file))])
    )
    length = chance.one(BYTES)
    match chance.one(["cut", "take", "insert"]):
        case "cut":
            del file[at:]
        case "take":
            del file[at : at + length]
        case "insert":
            file[at:at] = chance.one([chance.noise().bytes(length), bytes(8), b"\xef\xbb\xbf"])


def overwrite(files: Files, chance: Chance) -> None:
    """Write chance, zeros, ones or a copy of the data over a stretch of the file."""
    length = chance.one([1, 2, 16, 512])
    start, end = files.header_end, max(files.header_end, len(files.weights) - length)
    at = chance.one([chance.number(0, start), chance.number(start, end), chance.number(start, end)])
    source = chance.number(start, end)
    copied = bytes(files.weights[source : source + length])
    new = chance.one([chance.noise().bytes(length), bytes(length), b"\xff" * length, copied, copied])
    files.weights[at : at + length] = new[: len(files.weights) - at]


def change_lowest_bits(files: Files, chance: Chance) -> None:
    """Change the lowest bits of many values: still an adapter like it."""
    for at in range(files.header_end, len(files.weights), chance.one([8, 800])):
        files.weights[at] ^= 1


Mutation = Callable[[Any, Chance], None]
CONFIGS: list[Mutation] = [
    *[set_field, set_field, set_field, set_odd_value, set_odd_value, set_scale],
    *[set_targets, set_base_name, set_patterns, set_patterns, pad_config],
]
TENSORS: list[Mutation] = [
    *[drop_tensors, drop_tensors, move_tensors, rename_tensors, add_stranger, reshape_tensors],
    *[cast_tensors, cast_tensors, set_ranks, set_ranks],
]
WEIGHTS_VALUES: list[Mutation] = [
    *[scale_values, scale_values, let_factors_cancel, go_to_bound, go_to_bound],
    *[put_values, put_values, add_noise],
]
# What is changed before a file is laid out, then written as text, then as bytes, and what at last.
STAGES: list[list[Mutation]] = [
    [*CONFIGS, *TENSORS, *WEIGHTS_VALUES],
    [change_entries, change_entries, reinterpret_all, swap_places, swap_places, list_otherwise, hide_bytes],
    [respell, respell, respell, nest, replace_text],
    [flip_bits, flip_bits, cut_or_insert, overwrite, overwrite, change_lowest_bits],
]
ALL = list(chain.from_iterable(STAGES))
STAGE_OF = {mutation: number for number, stage in enumerate(STAGES) for mutation in stage}


@st.composite
def mutants(draw: st.DrawFn, base: BaseShape, trained: Sequence[Adapter] = ()) -> Mutant:
    """Draw a mutant of a trained adapter, one time in four, or of a random one: those are smaller."""
    chance = Chance(draw)
    chosen = [chance.one(ALL) for _ in range(chance.one(COUNTS))]
    chosen.sort(key=STAGE_OF.__getitem__)
    known = (
        chance.one(trained) if trained and chance.number(0, 3) == 3 else make_adapter(base, chance.noise())
    )
    metadata = known.metadata and dict(known.metadata)
    spoilt: Any = Parts(dict(known.config), dict(known.tensors), metadata, base=base)
    for number, onward in enumerate((lay_out, serialize, encode, None)):
        for mutation in chosen:
            if STAGE_OF[mutation] == number:
                mutation(spoilt, chance)
        if onward:
            spoilt = onward(spoilt)
    names = tuple(mutation.__name__ for mutation in chosen)
    return Mutant(names, bytes(spoilt.config), bytes(spoilt.weights))


def generate_mutants(
    base: BaseShape, trained: Sequence[Adapter] = (), *, number: int, seeded: str
) -> list[Mutant]:
    """Return so many mutants; the same ones for the same seed."""
    made: list[Mutant] = []

    @seed(seeded)
    @settings(
        max_examples=number,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutants(base, trained))
    def collect(mutant: Mutant) -> None:
        made.append(mutant)

    collect()
    return made[:number]


def _change(parts: Parts, module: str, side: str, change: Callable[[Array], Array]) -> None:
    with np.errstate(all="ignore"):
        parts.put(module, side, change(parts.of(module, side)))


def _stretch(parts: Parts, module: str, ratio: float) -> None:
    """Scale a module's B so that B·A with the config's scale has this share of the base's norm."""
    a = parts.of(module, "A").astype(np.float64)
    b = parts.of(module, "B").astype(np.float64)
    scale = _scale(parts.config)
    if len(a) != b.shape[1] or not scale:
        return
    with np.errstate(all="ignore"):
        norm = scale * math.sqrt(max(0.0, float(((b.T @ b) * (a @ a.T)).sum())))
        wanted = ratio * parts.base.modules[module].norm
        parts.put(module, "B", b * (wanted / norm if norm else 1.0))


def _scale(config: dict[str, Any]) -> float:
    """Return what the config multiplies B·A with, or 0 where it says nothing that can be used."""
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or not isinstance(alpha, int | float):
        return 0.0
    if not (0 < rank < 1e6 and 0 < alpha < 1e15):
        return 0.0
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") is True else rank)


def _is_whole(entry: Any) -> bool:
    """Return whether an entry of the header states a place by two whole numbers."""
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    return isinstance(offsets, list) and [type(offset) for offset in offsets] == [int, int]
