"""Mutations of the header's entries and of both JSON texts: what is said, and how it is spelt."""

import json
import re
from collections.abc import Callable
from typing import Any

from labs.broken_adapters.parts import DTYPES, Dice, Layout, Texts

NUMBERS: list[Any] = [-1, -2, 0, 1, 7, True, None, 8.0, 1e3, "8", [], 2**31, 2**53, 2**63, 2**64, 10**4000]
RARE_DTYPES = ["F8_E8M0", "F4", "C64", "U16"]
DTYPE_NAMES = [*DTYPES, "F16", "F16", "BF16", *RARE_DTYPES, "bf16", "torch.bfloat16", "", None, 16]
WRONG_SHAPES: list[Any] = [[], [0], [8], [8, -576], [8, 576, 1], [1, 8, 576], [576, 8], [0, 576]]
HUGE_SHAPES: list[Any] = [[2**32, 2**32], [2**53], [True, 576], [8.0, 576], "8x576", None, {}]
SHAPES: list[Any] = [*WRONG_SHAPES, *HUGE_SHAPES, [1] * 9, [9_000_000_000] * 60, [[8, 576]]]
SPELLINGS = [".0", "e0", "E+0", ".5", "0", "n", "_0", " 1", "e999", "٨"]  # behind a number
NAMES = ["", "\x00", "é", "\ud800", "x" * 100_000, "__metadata__", "\u202e", "." * 5000, ".lora_A" * 5000]
ODD = ['"', "'", ",", "}", "{", "[", "\\", "\x00", "\t", "\ufeff", "//", "é", "\x7f", "\\ud800"]
REPEATED = ['"r": 16', '"lora_alpha": 1e12', '"use_dora": true', '"x": 1', '"bias": "all"']
NESTED = ["note", "modules_to_save", "quantization_config", "peft_type", "init_lora_weights", "bias"]


def rename_entry(layout: Layout, dice: Dice) -> None:
    """Give an entry another name, perhaps one that stands there already."""
    names = [name for name, _ in layout.entries]
    _replace(layout, dice, lambda name, entry: (dice.choice([*NAMES, *dice.some(names, 3)]), entry))


def lie_about_shape(layout: Layout, dice: Dice) -> None:
    """State another shape."""
    _set(layout, dice, "shape", SHAPES)


def lie_about_dtype(layout: Layout, dice: Dice) -> None:
    """State another type; one of the same width lets the file stay well formed."""
    _set(layout, dice, "dtype", DTYPE_NAMES)


def reinterpret_all(layout: Layout, dice: Dice) -> None:
    """Read all bytes as the other type of the same width."""
    other = {"BF16": "F16", "F16": "BF16", "F32": "I32"}
    for _, entry in layout.entries:
        if isinstance(entry, dict) and entry.get("dtype") in other:
            entry["dtype"] = other[entry["dtype"]]


def lie_about_offsets(layout: Layout, dice: Dice) -> None:
    """State another place."""

    def elsewhere(name: str, entry: Any) -> tuple[str, Any]:
        start, end = entry["data_offsets"]
        by = dice.choice([-start - 1, -2, -1, 1, 2, 8, end - start, len(layout.data), 2**62])
        odd = [dice.choice(NUMBERS), dice.choice(NUMBERS)]
        places = [[start + by, end + by], [start, end + by], [start + by, end], [end, start], [start], odd]
        return name, entry | {"data_offsets": dice.choice(places)}

    _replace(layout, dice, elsewhere)


def swap_places(layout: Layout, dice: Dice) -> None:
    """Let two entries have each other's places; with the same length, the file stays well formed."""
    tensors = [entry for _, entry in layout.entries if _is_whole(entry)]
    if len(tensors) > 1:
        one, two = dice.sample(tensors, 2)
        one["data_offsets"], two["data_offsets"] = two["data_offsets"], one["data_offsets"]


def share_place(layout: Layout, dice: Dice) -> None:
    """Let two entries lie in one place."""
    tensors = [entry for _, entry in layout.entries if _is_whole(entry)]
    if len(tensors) > 1:
        one, two = dice.sample(tensors, 2)
        one["data_offsets"] = two["data_offsets"]


def shuffle_entries(layout: Layout, dice: Dice) -> None:
    """List the entries in another order; their places stay."""
    dice.shuffle(layout.entries)


def repeat_entry(layout: Layout, dice: Dice) -> None:
    """List an entry twice."""
    if layout.entries:
        layout.entries.insert(dice.randrange(len(layout.entries) + 1), dice.choice(layout.entries))


def spoil_entry(layout: Layout, dice: Dice) -> None:
    """Leave a field of an entry out, add one, or put something else in its place."""

    def spoilt(name: str, entry: Any) -> tuple[str, Any]:
        without = {key: value for key, value in entry.items() if key != dice.choice(list(entry))}
        return name, dice.choice([without, entry | {"extra": 1}, None, [], "x", 8, {}, [entry]])

    _replace(layout, dice, spoilt)


def hide_bytes(layout: Layout, dice: Dice) -> None:
    """Leave bytes behind the last tensor, or take some away."""
    if dice.random() < 0.5:
        layout.data += dice.randbytes(dice.choice([1, 2, 8, 4096]))
    else:
        del layout.data[-dice.choice([1, 2, 8, 4096]) :]


def respell_number(texts: Texts, dice: Dice) -> None:
    """Spell a number as readers may disagree on: 8.0, 08, -0, 8e0, a huge one."""
    spelling = dice.choice(SPELLINGS)
    new = dice.choice(["0{}", "-{}", "+{}", "{}" + spelling, "{}" + spelling, "{}" * 50, "-0", "NaN", "0x{}"])
    _respell(texts, dice, r"(?<![\w.])\d+(?![\w.])", lambda found: new.replace("{}", found))


def escape_letter(texts: Texts, dice: Dice) -> None:
    r"""Write a letter of a text as \u00xx: the same to every reader."""
    _respell(texts, dice, r"(?<![\\a-z])[a-z](?=[a-z_]{3})", lambda found: rf"\u{ord(found):04x}")


def spoil_text(texts: Texts, dice: Dice) -> None:
    """Put a character where it does not belong."""
    odd = dice.choice(ODD)
    _respell(texts, dice, r".", lambda found: dice.choice([odd, found + odd]))


def add_blanks(texts: Texts, dice: Dice) -> None:
    """Add blanks where JSON allows them, or of a kind that it doesn't."""
    blank = dice.choice([" ", "\n", "\t", "\r\n", " " * 5000, "\xa0", "\x0b", "\x00"])
    if dice.random() < 0.5:
        texts.header += blank
    else:
        _respell(texts, dice, r"[:,{]\"", lambda found: found[0] + blank + found[1:])


def indent(texts: Texts, dice: Dice) -> None:
    """Lay the header out for people."""
    try:
        texts.header = json.dumps(json.loads(texts.header), indent=dice.choice([1, 4]))
    except (ValueError, RecursionError):
        return


def repeat_key(texts: Texts, dice: Dice) -> None:
    """Say a key of the config twice."""
    texts.config = texts.config.replace("{", "{" + dice.choice(REPEATED) + ",", 1)


def nest(texts: Texts, dice: Dice) -> None:
    """Put a deep nest into the config, where somebody or nobody reads it."""
    depth = dice.choice([5, 40, 300, 900, 5000, 9000, 30_000])
    opening, closing = dice.choice([("[", "]"), ('{"a":', "}")])
    deep = f'"{dice.choice(NESTED)}": {opening * depth}1{closing * depth},'
    texts.config = texts.config.replace("{", "{" + deep, 1)


def replace_text(texts: Texts, dice: Dice) -> None:
    """Put another text in the place of one of the two."""
    other = dice.choice(["", "{}", "[]", "null", "0", '"x"', "[" * 50_000, '{"a":' * 50_000, "{}{}"])
    if dice.random() < 0.5:
        texts.config = other
    else:
        texts.header = other


def _set(layout: Layout, dice: Dice, field: str, values: list[Any]) -> None:
    _replace(layout, dice, lambda name, entry: (name, entry | {field: dice.choice(values)}))


def _replace(layout: Layout, dice: Dice, change: Callable[[str, Any], tuple[str, Any]]) -> None:
    """Change one to three entries of tensors that no other mutation has spoilt."""
    places = [place for place, (_, entry) in enumerate(layout.entries) if _is_whole(entry)]
    for place in dice.some(places, 3):
        layout.entries[place] = change(*layout.entries[place])


def _is_whole(entry: Any) -> bool:
    """Return whether it states a place by two whole numbers."""
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    return isinstance(offsets, list) and [type(offset) for offset in offsets] == [int, int]


def _respell(texts: Texts, dice: Dice, pattern: str, change: Callable[[str], str]) -> None:
    """Change one place of one of the two texts that fits a pattern, beginning at a random position."""
    field = dice.choice(["header", "config"])
    text = getattr(texts, field)
    if found := re.compile(pattern, re.DOTALL).search(text, dice.randrange(len(text) + 1)):
        setattr(texts, field, text[: found.start()] + change(found[0]) + text[found.end() :])


LIES = [lie_about_shape, lie_about_dtype, lie_about_dtype, reinterpret_all, lie_about_offsets]
PLACES = [swap_places, swap_places, share_place, shuffle_entries, shuffle_entries]
ENTRY_MUTATIONS = [rename_entry, *LIES, *PLACES, repeat_entry, spoil_entry, hide_bytes]
SPELLING_MUTATIONS = [respell_number, escape_letter, escape_letter, spoil_text]
LAYOUT_MUTATIONS = [add_blanks, add_blanks, indent, repeat_key, nest, nest]
TEXT_MUTATIONS = [*SPELLING_MUTATIONS, *LAYOUT_MUTATIONS, replace_text]
