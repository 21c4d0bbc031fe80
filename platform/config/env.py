"""Environment variables by their kinds. Each call reads one and adds its row to the table.

`config/variables.py` has the calls, each with what it means; docs/settings.md shows them. Why there is no
library for this: docs/decisions/0020-the-environment-is-read-without-a-library.md.
"""

import ast
import ipaddress
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack
from urllib.parse import urlsplit

HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")
# How a socket for both kinds of addresses names a client of IPv4.
IPV4_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
# As browsers send it in `Origin`, but for letters' case; what follows it in an address is left out there.
ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?(?=[/?#]|$)", re.I)
DEFAULT_PORTS = {"http": ":80", "https": ":443"}  # no browser sends them

# strong: a public site refuses a weak one. any: it comes from others, or is too short to be judged.
type Secret = Literal["strong", "any", ""]


class Facts(TypedDict, total=False):
    """What else a row may say."""

    secret: Secret
    read_by: str  # services of docker-compose.yml, with commas; `site` is all of ours


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One row of the table."""

    default: str | None  # None: it is required
    kind: str  # text, URL, list, keys, …
    bounds: str
    parse: Callable[[str], Any]  # raises ValueError, which says what is wrong
    secret: Secret = ""
    read_by: str = "site"


VARIABLES: dict[str, Variable] = {}
FAULTS: dict[str, str] = {}  # what is wrong, by the variable's name


def text(name: str, default: str | None, **facts: Unpack[Facts]) -> str:
    """Return a variable as it is."""
    return _add(name, default, "text", "", str, **facts)


def lines(name: str, default: str) -> str:
    """Return a text in which `|` stands between lines."""
    return _add(name, default, "text", "with `|` between lines", lambda value: value.replace("|", "\n"))


def url(name: str, default: str | None, *schemes: str, **facts: Unpack[Facts]) -> str:
    """Return a URL without a slash at its end, or an empty text."""
    wanted = " or ".join(f"{scheme}://…" for scheme in schemes)

    def parse(value: str) -> str:
        parts = urlsplit(value)
        if value and schemes and (parts.scheme not in schemes or not (parts.netloc or parts.path)):
            raise ValueError(f"It is not a URL of the form {wanted}")
        return value.rstrip("/")

    return _add(name, default, "URL", wanted, parse, **facts)


def folder(name: str, default: str, **facts: Unpack[Facts]) -> Path:
    """Return a folder's absolute path."""
    return _add(name, default, "folder", "", lambda value: Path(value).absolute(), **facts)


def choice(name: str, default: str, *choices: str, **facts: Unpack[Facts]) -> str:
    """Return one of a few words."""
    words = " or ".join(filter(None, choices))

    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"{value} is not {words}")
        return value

    return _add(name, default, "", words, parse, **facts)


def flag(name: str) -> bool:
    """Return whether a variable is 1."""
    return choice(name, "0", "0", "1", "") == "1"


def switch(name: str, default: str) -> bool:
    """Return whether a variable is on."""
    return choice(name, default, "on", "off") == "on"


def whole(
    name: str, default: int, *, least: int = 0, or_zero: bool = False, unit: str = "", **facts: Unpack[Facts]
) -> int:
    """Return a whole number that is not below the least, but for a 0 that means something else."""
    bounds = f"from {least}, or 0" if or_zero else f"from {least}"

    def parse(value: str) -> int:
        number = int(value) if value.strip().isdecimal() else -1
        if number < least and (number or not or_zero):
            raise ValueError(f"{value} is not a whole number {bounds}")
        return number

    return _add(name, str(default), "whole number", f"{bounds} ({unit})" if unit else bounds, parse, **facts)


def number(name: str, default: float, within: tuple[float, float]) -> float:
    """Return a number within bounds."""
    least, most = within
    bounds = f"from {least:g} to {most:g}"

    def parse(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not least <= number <= most:
            raise ValueError(f"{value} is not a number {bounds}")
        return number

    return _add(name, f"{default:g}", "number", bounds, parse)


def items(name: str, default: str, **facts: Unpack[Facts]) -> list[str]:
    """Return the items of a list, without empty ones."""
    return _add(name, default, "list", "with commas", split_items, **facts)


def split_items(value: str) -> list[str]:
    """Return the items of a text with commas between them, without empty ones."""
    return list(filter(None, (item.strip() for item in value.split(","))))


def hexadecimal(name: str, default: str | None, **facts: Unpack[Facts]) -> bytes:
    """Return the bytes of a text in hex."""

    def parse(value: str) -> bytes:
        if not HEX.fullmatch(value):
            raise ValueError("It is not a text in hex")
        return bytes.fromhex(value)

    return _add(name, default, "text", "in hex", parse, **facts)


def keys(name: str, default: str | None, *, digits: int = 0, **facts: Unpack[Facts]) -> dict[int, bytes]:
    """Return keys by their numbers, `1:HEX,2:HEX`."""
    bounds = f"as 1:HEX,2:HEX, {digits} hex digits each" if digits else "as 1:HEX,2:HEX"

    def parse(value: str) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for item in split_items(value):
            number, _, key = item.partition(":")
            is_new = number.isdecimal() and int(number) > 0 and int(number) not in found
            if not (is_new and key and HEX.fullmatch(key) and len(key) == (digits or len(key))):
                raise ValueError(f"It is not a list of keys {bounds}: each number once, none below 1")
            found[int(number)] = bytes.fromhex(key)
        return found

    return _add(name, default, "keys", bounds, parse, **facts)


def key_number(name: str, **facts: Unpack[Facts]) -> int | None:
    """Return the number of a key, or None for the highest one."""

    def parse(value: str) -> int | None:
        if value and not value.isdecimal():
            raise ValueError(f"{value} is not a key's number")
        return int(value) if value else None

    return _add(name, "", "number of a key", "", parse, **facts)


def networks(name: str, default: str) -> list[str]:
    """Return addresses and networks, none of them wider than the widest private ones."""
    return _add(name, default, "list", "of networks", _parse_networks)


def _parse_networks(value: str) -> list[str]:
    found = []
    for item in split_items(value):
        try:
            network = ipaddress.ip_network(item, strict=False)
        except ValueError:
            raise ValueError(f"{item} is not an address or network, such as 10.0.0.0/8") from None
        if network.prefixlen < _shortest_prefix(network):
            raise ValueError(f"{item} covers too much of the internet. Use the proxies' own networks")
        found.append(str(network))
    return found


def _shortest_prefix(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> int:
    """Return the prefix of the widest private network of that kind: 10.0.0.0/8 or fc00::/7."""
    if network.version == 4:
        return 8
    if network.overlaps(IPV4_MAPPED):
        return 96 + 8
    return 7


def origins(name: str, default: str) -> frozenset[str]:
    """Return origins as browsers send them, or `*`."""
    return _add(name, default, "list", "of origins", _parse_origins)


def _parse_origins(value: str) -> frozenset[str]:
    found = frozenset(split_items(value)) - {"none"}
    for origin in found - {"*"}:
        match = ORIGIN.match(origin)
        if not match:
            raise ValueError(f"{origin} is not an origin, such as https://app.example.com, or `*`")
        wanted = match[0].lower().removesuffix(DEFAULT_PORTS.get(match[1].lower(), "/"))
        if origin != wanted:
            raise ValueError(f"{origin} never matches what a browser sends. Use {wanted}")
    return found


def _add[Value](
    name: str,
    default: str | None,
    kind: str,
    bounds: str,
    parse: Callable[[str], Value],
    **facts: Unpack[Facts],
) -> Value:
    """Add a row to the table; return what the environment says, or the default beside a fault."""
    VARIABLES[name] = Variable(default=default, kind=kind, bounds=bounds, parse=parse, **facts)
    value = find(name)
    if value is None:
        FAULTS[name] = f"{name} is not set"
    else:
        try:
            return parse(value)
        except ValueError as fault:
            FAULTS[name] = f"{name}: {fault}"
    return parse(default or "")


def find(name: str) -> str | None:
    """Return a variable's value, or what is in the file that NAME_FILE names, or its default.

    Raises SystemExit for a file that can't be read.
    """
    file = os.environ.get(f"{name}_FILE")
    if name in os.environ or not file:
        return os.environ.get(name, VARIABLES[name].default)
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise SystemExit(f"{name}_FILE: {file} can't be read: {error.strerror}.") from None


def refuse_faults(table: str) -> None:
    """Raise SystemExit with all that is wrong, if anything is. `table` is the file of the calls."""
    if FAULTS:
        meanings = read_meanings(table)
        told = [f"{fault}. {meanings[name]}" for name, fault in FAULTS.items()]
        raise SystemExit("\n".join([*told, "`make demo` sets all variables."]))


def read_meanings(table: str) -> dict[str, str]:
    """Return what each variable means: the docstring below its call."""
    meanings = {}
    for row, below in pairwise(ast.parse(Path(table).read_text()).body):
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            names = [node.value for node in ast.walk(row) if isinstance(node, ast.Constant)]
            name = next(name for name in names if name in VARIABLES)
            meanings[str(name)] = " ".join(str(below.value.value).split())
    return meanings


def settings_page(table: str) -> str:
    """Return docs/settings.md: the table for people."""
    page = [
        "# Settings",
        "",
        "`python -m config.variables` writes this page, and a test compares it. `make demo` sets all",
        "variables. If `NAME` isn't set, `NAME_FILE` can name a file with the value, which is how containers",
        "get secrets. A process doesn't start with a value that is missing or out of bounds. The last column",
        "names services of `docker-compose.yml`: `site` is all of ours, `vllm` the engine.",
        "",
        "| variable | default | value | meaning | read by |",
        "|---|---|---|---|---|",
    ]
    meanings = read_meanings(table)
    for name, row in VARIABLES.items():
        default = f"`{row.default}`" if row.default else "empty"
        default = "required" if row.default is None else default
        value = " ".join(filter(None, ("secret" if row.secret else "", row.kind, row.bounds)))
        page.append(f"| `{name}` | {default} | {value} | {meanings[name]} | {row.read_by} |")
    return "\n".join(page) + "\n"
