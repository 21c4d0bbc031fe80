"""Mutations of the files' bytes: what disks, networks, tools and malice do to them."""

import gzip
from collections.abc import Callable

from labs.broken_adapters.parts import Dice, Files

GIT_LFS_MARK = b"version https://git-lfs.github.com/spec/v1\n"
MARKS = (b"PK\x03\x04", b"\x80\x04\x95", b"GGUF", b"\x1f\x8b\x08", b"\x93NUMPY", GIT_LFS_MARK)


def flip_header_bits(files: Files, dice: Dice) -> None:
    """Flip one to eight bits of the header or its length."""
    _flip(files.weights, dice, 0, files.header_end)


def flip_data_bits(files: Files, dice: Dice) -> None:
    """Flip one to eight bits of the weights."""
    _flip(files.weights, dice, files.header_end, len(files.weights))


def flip_config_bits(files: Files, dice: Dice) -> None:
    """Flip one to eight bits of the config."""
    _flip(files.config, dice, 0, len(files.config))


def cut_end(files: Files, dice: Dice) -> None:
    """Cut one of the files."""
    file = _either(files, dice)
    del file[dice.choice([0, 4, 8, 9, 60, files.header_end, dice.randrange(len(file) + 1), len(file) - 1]) :]


def remove_bytes(files: Files, dice: Dice) -> None:
    """Take bytes out somewhere."""
    file = _either(files, dice)
    at = dice.randrange(len(file) + 1)
    del file[at : at + dice.choice([1, 2, 8, 4096])]


def insert_bytes(files: Files, dice: Dice) -> None:
    """Put bytes in somewhere, or at the end."""
    file = _either(files, dice)
    at = dice.choice([0, len(file), dice.randrange(len(file) + 1)])
    file[at:at] = dice.choice([dice.randbytes(dice.choice([1, 2, 8, 4096])), bytes(8), b"\xef\xbb\xbf"])


def overwrite(files: Files, dice: Dice) -> None:
    """Write chance, zeros or ones over a stretch of the file."""
    length = dice.choice([1, 2, 16, 512])
    at = dice.choice([dice.randrange(files.header_end + 1), dice.randrange(len(files.weights) + 1)])
    files.weights[at : at + length] = dice.choice([dice.randbytes(length), bytes(length), b"\xff" * length])


def overwrite_small_parts(files: Files, dice: Dice) -> None:
    """Change the lowest bits of many values: still an adapter like it."""
    for at in range(files.header_end, len(files.weights), dice.choice([8, 800])):
        files.weights[at] ^= 1


def move_bytes(files: Files, dice: Dice) -> None:
    """Copy a stretch of the data over another."""
    length = dice.choice([2, 64, 4096])
    end = max(files.header_end, len(files.weights) - length)
    source, target = (dice.randint(files.header_end, end) for _ in range(2))
    if target + length <= len(files.weights) and source + length <= len(files.weights):
        files.weights[target : target + length] = files.weights[source : source + length]


def lie_about_length(files: Files, dice: Dice) -> None:
    """Let the length field claim something else."""
    length = int.from_bytes(files.weights[:8], "little")
    lies = [0, 1, length - 1, length + 1, len(files.weights), 10**8, 2**20, 2**31, 2**62, 2**64 - 1]
    files.weights[:8] = (dice.choice(lies) % 2**64).to_bytes(8, "little")


def mark_as_other(files: Files, dice: Dice) -> None:
    """Let the file begin like another kind of file, or be one."""
    mark = dice.choice(MARKS)
    kinds: list[Callable[[], bytes]] = [
        lambda: mark + files.weights[len(mark) :],
        lambda: mark + files.weights,
        lambda: gzip.compress(files.weights[:10_000]),
        lambda: dice.randbytes(2000),
        lambda: bytes(2000),
        lambda: bytes(files.config),
        lambda: b"",
    ]
    files.weights[:] = dice.choice(kinds)()


def encode_config_otherwise(files: Files, dice: Dice) -> None:
    """Write the config in another encoding, or as another file."""
    text = files.config.decode(errors="replace")
    encoded = [text.encode("utf-16"), text.encode("utf-8-sig"), text.encode("latin-1", "replace") + b"\xe9"]
    others = [b"", bytes(files.weights[:3000]), files.config + b"\x00", b"\xff" * 10, files.config * 2]
    kinds = [*encoded, *others]
    files.config[:] = dice.choice(kinds)


def _flip(file: bytearray, dice: Dice, start: int, end: int) -> None:
    for _ in range(dice.choice([1, 1, 2, 8])):
        if start < end:
            file[dice.randrange(start, end)] ^= 1 << dice.randrange(8)


def _either(files: Files, dice: Dice) -> bytearray:
    return files.weights if dice.random() < 0.8 else files.config


FLIPS = [flip_header_bits] * 2 + [flip_data_bits] * 3 + [flip_config_bits]
LENGTHS = [cut_end, remove_bytes, insert_bytes]
CONTENTS = [overwrite, overwrite_small_parts, overwrite_small_parts, move_bytes, move_bytes]
MUTATIONS = [*FLIPS, *LENGTHS, *CONTENTS, lie_about_length, mark_as_other, encode_config_otherwise]
