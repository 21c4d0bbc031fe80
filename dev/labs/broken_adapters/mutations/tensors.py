"""Mutations of the tensors that keep the file well formed: which there are, their names, shapes and types."""

import numpy as np

from labs.broken_adapters.parts import DTYPES, PREFIX, SERVED, Dice, Parts, name_of

RENAMES = [
    *[("q_proj", "qkv_proj"), ("gate_proj", "gate_up_proj"), ("v_proj", "k_proj"), ("mlp", "MLP")],
    *[("layers.0.", "layers.00."), ("layers.1.", "layers.1001."), ("layers.2.", "layers.-2.")],
    *[("layers.3.", "layers.3 ."), ("self_attn", "self_attn.self_attn"), (".weight", ".default.weight")],
    *[
        (".weight", ".weight "),
        ("lora_A", "lora_a"),
        ("lora_B", "lora_C"),
        (PREFIX, ""),
        (PREFIX, PREFIX * 2),
    ],
    *[(PREFIX, "base_model."), (PREFIX, "module." + PREFIX), ("model.layers", "layers")],
    *[("o_proj", "\u043e_proj"), ("down_proj", "down_proj\x00"), (".lora_B", ".base_layer.lora_B")],
    (".lora_A.", ".lora_embedding_A."),
]
STRANGERS = [
    "{prefix}model.embed_tokens.lora_embedding_A",
    "{prefix}lm_head.lora_A.weight",
    "{module}.lora_magnitude_vector",
    "{module}.lora_B.bias",
    "{module}.weight",
    "{module}.base_layer.weight",
    "{prefix}model.norm.weight",
    "{prefix}model.layers.0.self_attn.rotary_emb.inv_freq",
    "prompt_embeddings",
    "",
    "é",
    "{prefix}.lora_A.weight",
    "{prefix}model.layers.0.lora_A.weight",
    "{module}.modules_to_save.weight",
    "__metadata__x",
]
TEXTS = [None, {}, {"format": "np"}, {"format": "pt", "é\u202e": "\x00"}, {"x": "y" * 200_000}]
METADATA = [*TEXTS, {"format": 1}, {"a": None}, {"a": ["b"]}, {"a": {"b": "c"}}, {"\ud800": "x"}]


def keep_some_layers(parts: Parts, dice: Dice) -> None:
    """Drop whole layers."""
    layers = {module.split(".")[2] for module in parts.base.modules if module.count(".") > 2}
    dropped = tuple(f".layers.{layer}." for layer in dice.some(sorted(layers)))
    parts.tensors = {
        name: tensor for name, tensor in parts.tensors.items() if not any(part in name for part in dropped)
    }


def drop_pairs(parts: Parts, dice: Dice) -> None:
    """Drop single modules."""
    for module in dice.some(parts.modules()):
        for side in "AB":
            del parts.tensors[name_of(module, side)]


def drop_one(parts: Parts, dice: Dice) -> None:
    """Drop half a pair."""
    for name in dice.some(parts.tensors, 1):
        del parts.tensors[name]


def swap_pairs(parts: Parts, dice: Dice) -> None:
    """Let modules have each other's tensors, mostly of the same shape."""
    names = [name_of(module, side) for module in parts.modules() for side in "AB"]
    for one, two in zip(dice.some(names, 20), dice.some(names, 20), strict=False):
        a = parts.tensors[one]
        b = parts.tensors[two]
        if a.shape == b.shape or dice.random() < 0.02:
            parts.tensors.update({one: b, two: a})


def repeat_pair(parts: Parts, dice: Dice) -> None:
    """Copy one module's tensors to all modules of the same widths."""
    for source in dice.some(parts.modules(), 1):
        pair = [parts.tensors[name_of(source, side)] for side in "AB"]
        for module in parts.modules():
            names = [name_of(module, side) for side in "AB"]
            if [parts.tensors[name].shape for name in names] == [tensor.shape for tensor in pair]:
                parts.tensors.update(zip(names, pair, strict=True))


def rename(parts: Parts, dice: Dice) -> None:
    """Change a part of some names: other layers, modules, prefixes, look-alikes."""
    before, after = dice.choice(RENAMES)
    chosen = set(dice.some(parts.tensors) if dice.random() < 0.3 else parts.tensors)
    parts.tensors = {
        name.replace(before, after) if name in chosen else name: tensor
        for name, tensor in parts.tensors.items()
    }


def add_stranger(parts: Parts, dice: Dice) -> None:
    """Add a tensor that is no LoRA weight."""
    module = PREFIX + dice.choice(list(parts.base.modules))
    name = dice.choice(STRANGERS).format(prefix=PREFIX, module=module)
    shape = dice.choice([(0,), (1,), (8, 576), (576, 8), (2, 2, 2), ()])
    parts.tensors[name] = np.ones(shape, DTYPES[dice.choice([*SERVED, "I64"])])


def reorder(parts: Parts, dice: Dice) -> None:
    """Lay the tensors in another order."""
    parts.tensors = dict(dice.sample(list(parts.tensors.items()), len(parts.tensors)))


def reshape(parts: Parts, dice: Dice) -> None:
    """Give tensors another shape, with as many values or with one row less or more."""
    for name in dice.some(parts.tensors, 3):
        tensor = np.atleast_2d(parts.tensors[name])
        turned = [tensor.T, tensor.reshape(-1), tensor[None], tensor[..., None]]
        cut = [tensor[:0], tensor[:-1], tensor[..., :-1]]
        shapes = [*turned, *cut, np.concatenate([tensor, tensor])]
        parts.tensors[name] = dice.choice(shapes).copy()


def cast_all(parts: Parts, dice: Dice) -> None:
    """Save everything in another type that engines take."""
    _cast(parts, list(parts.tensors), dice.choice(SERVED))


def cast_some(parts: Parts, dice: Dice) -> None:
    """Mix types that engines take."""
    for name in dice.some(parts.tensors, 40):
        _cast(parts, [name], dice.choice(SERVED))


def cast_strangely(parts: Parts, dice: Dice) -> None:
    """Save something, or everything, in a type that engines do not take."""
    names = dice.some(parts.tensors) if dice.random() < 0.5 else list(parts.tensors)
    _cast(parts, names, dice.choice([name for name in DTYPES if name not in SERVED]))


def set_ranks_by_pattern(parts: Parts, dice: Dice) -> None:
    """Give single modules another rank, and say so in rank_pattern."""
    ranks: dict[str, int] = {}
    for module in dice.some(parts.modules(), 12):
        rank = dice.choice([1, 2, 3, 5, 8, 13, 16] if dice.random() < 0.97 else [0, 17, 64])
        ranks["^" * dice.randint(0, 1) + module] = rank
        _set_rank(parts, module, rank)
    parts.config["rank_pattern"] = ranks


def set_rank_everywhere(parts: Parts, dice: Dice) -> None:
    """Cut or fill all factors to another rank, and say so in the config."""
    rank = dice.choice([1, 2, 3, 7, 11, 15, 16, 16, 17, 24])
    parts.config.update(r=rank, rank_pattern={})
    for module in parts.modules():
        _set_rank(parts, module, rank)


def set_metadata(parts: Parts, dice: Dice) -> None:
    """Say something else in the header's metadata."""
    parts.metadata = dice.choice(METADATA)


def _cast(parts: Parts, names: list[str], dtype: str) -> None:
    for name in names:
        with np.errstate(all="ignore"):
            parts.tensors[name] = parts.tensors[name].astype(DTYPES[dtype])


def _set_rank(parts: Parts, module: str, rank: int) -> None:
    """Cut a module's factors to a rank, or repeat them up to it."""
    a = parts.of(module, "A")
    b = parts.of(module, "B")
    times = -(-rank // max(1, len(a)))
    parts.put(module, "A", np.tile(a, (times, 1))[:rank])
    parts.put(module, "B", np.tile(b, (1, times))[:, :rank])


PRESENCE = [keep_some_layers, drop_pairs, drop_one, swap_pairs, repeat_pair, rename, add_stranger]
FORMS = [reorder, reshape, cast_all, cast_some, cast_strangely]
RANKS = [set_ranks_by_pattern, set_ranks_by_pattern, set_rank_everywhere]
MUTATIONS = [*PRESENCE, *FORMS, *RANKS, set_metadata]
