"""What a regular expression costs to compile and to follow."""

import re
from typing import Any, NamedTuple

from inference.contract.grammars.budget import LITERAL_MS, NARROW_MS, WIDE_MS, Budget

MAX_PATTERN_CHARACTERS = 256
MAX_REPEAT = 100  # {m,n}, minLength, maxLength
MAX_LENGTHS = 128
OPEN_ENDED_REPEAT = 2  # `*`, `+` and `{0,}` count as so many repetitions
NARROW_CLASS_MAX = 40  # characters

QUANTIFIER = re.compile(r"[*+?]|\{(\d{1,9})(?:,(\d{0,9}))?\}")
CLASS = re.compile(r"\[(\^?)(\]?(?:[^\]\\]|\\.)*)\]", re.DOTALL)
RANGE = re.compile(r"([^\\])-([^\\])", re.DOTALL)
CLASS_ESCAPE = re.compile(r"\\[^\\\]\[^.$*+?(){}|/tnr-]")  # `\w`, `\u0000` and the like
# A character that stands for itself. No anchor is one: it takes no character.
LITERAL = re.compile(r"([^\\^$.|?*+(){}\[\]])|\\(\W)")
UNSUPPORTED_ESCAPES = "0123456789ABZbpPkNU"
ESCAPE_LENGTHS = {"x": 4, "u": 6}


def pattern_cost_ms(pattern: Any, budget: Budget, *, is_alone: bool = False) -> float:
    """Return what a pattern costs in CPU milliseconds. Raises BadRequest where the engine can't follow it.

    `is_alone` says that it is not part of a JSON schema.
    """
    if not isinstance(pattern, str) or "\x00" in pattern:
        raise budget.error("a pattern must be a text without NUL.")
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise budget.error(f"a pattern may have {MAX_PATTERN_CHARACTERS} characters.")
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        raise budget.error("a pattern is no regular expression.") from None
    return _PatternReader(pattern, budget, is_alone=is_alone).read()


class _Alternatives(NamedTuple):
    """What stands between the brackets of a group: what it costs, and the literals of each alternative.

    Only literals without a quantifier: whatever matches an alternative has them.
    """

    cost_ms: float
    literals: list[set[str]]


class _PatternReader:
    """Reads a pattern once, from left to right, and adds up its cost with all repetitions written out.

    `_lengths` is the number of ways in which bounded repetitions can share a text. The engine follows all of
    them for each token that it writes, so many of them slow every request down.

    xgrammar makes a pattern in a JSON schema deterministic, but not a pattern that is alone. There a repeated
    group may not hold a wide class: `(.{1,20})+` takes minutes a token. Nor may one text be divided among its
    repetitions in many ways: after 50 characters `([a-z]?)*0` takes 0.7 s a token, and ever more.

    `_atoms` are those that were read, `_varying` those in parts that repeat a varying number of times.
    """

    def __init__(self, pattern: str, budget: Budget, *, is_alone: bool) -> None:
        self._pattern = pattern
        self._budget = budget
        self._is_alone = is_alone
        self._at = 0
        self._lengths = 1
        self._wide_count = 0
        self._atoms: list[str] = []
        self._varying: list[str] = []

    def read(self) -> float:
        """Return the cost of the whole pattern in milliseconds."""
        cost_ms, _ = self._read_alternatives()
        if self._at < len(self._pattern):
            raise self._budget.error("a pattern is no regular expression.")
        return cost_ms

    def _read_alternatives(self) -> _Alternatives:
        atoms_before = len(self._atoms)
        cost_ms = LITERAL_MS
        literals: list[set[str]] = [set()]
        is_empty = True
        has_empty = False
        while self._next() not in ("", ")"):
            if self._next() == "|":
                self._at += 1
                cost_ms += LITERAL_MS
                literals.append(set())
                has_empty |= is_empty
                is_empty = True
                continue
            begin = self._at
            cost_ms += self._read_repeated()
            is_empty = False
            literal = LITERAL.fullmatch(self._pattern, begin, self._at)
            if literal:
                literals[-1].add(literal[1] or literal[2])
        if has_empty or is_empty:  # as if a `?` stood behind the group
            self._varying += ["", *self._atoms[atoms_before:]]
        return _Alternatives(cost_ms, literals)

    def _read_repeated(self) -> float:
        """Read a group or an atom with the quantifiers behind it."""
        lengths_before = self._lengths
        wide_before = self._wide_count
        atoms_before = len(self._atoms)
        varying_before = len(self._varying)
        self._lengths = 1
        is_group = self._next() == "("
        cost_ms, literals = self._read_group() if is_group else self._read_atom()
        has_wide = self._wide_count > wide_before
        while quantifier := QUANTIFIER.match(self._pattern, self._at):
            self._at = quantifier.end()
            least, most = self._read_bounds(quantifier)
            cost_ms *= max(1, most)
            if self._is_alone and is_group and most > 1:
                self._check_repeated_group(literals, set(self._varying[varying_before:]), has_wide=has_wide)
            if least != most or most == 0 or _is_open_ended(quantifier):
                self._varying += self._atoms[atoms_before:]
            self._lengths = min(self._lengths**most * (most - least + 1), MAX_LENGTHS + 1)
            if self._next() == "?":  # a lazy quantifier matches the same texts
                self._at += 1
        self._lengths *= lengths_before
        if self._lengths > MAX_LENGTHS:
            raise self._budget.error(
                f"a pattern's bounded repetitions may share a text in {MAX_LENGTHS} ways (the product of all "
                "n - m + 1): nest fewer of them, or use `*`."
            )
        return cost_ms

    def _check_repeated_group(self, literals: list[set[str]], varying: set[str], *, has_wide: bool) -> None:
        """Raise BadRequest if a text can be divided among the repetitions of a group in many ways.

        It can't where every alternative needs a literal that no varying part of the group matches.
        """
        if has_wide:
            raise self._budget.error(
                "a repeated group of a pattern may hold no `.`, `\\w` or other wide class; repeat the "
                "class itself."
            )
        if varying and not all(_has_separator(alternative, varying) for alternative in literals):
            raise self._budget.error(
                "a repeated group of a pattern, in which a part may repeat or be missing, needs a character "
                "in each alternative that no such part matches, as the comma of `([a-z]+,)*`."
            )

    def _read_bounds(self, quantifier: re.Match[str]) -> tuple[int, int]:
        """Return how often a quantifier repeats, at least and at most."""
        if quantifier[0] == "?":
            return 0, 1
        least = int(quantifier[1] or 0)
        if _is_open_ended(quantifier):
            least = max(least, OPEN_ENDED_REPEAT)
        most = int(quantifier[2] or least)
        if most > MAX_REPEAT:
            raise self._budget.error(f"a pattern may repeat a part {MAX_REPEAT} times.")
        return least, max(least, most)

    def _read_group(self) -> _Alternatives:
        opening = self._pattern[self._at + 1 : self._at + 3]
        if opening[:1] == "?" and opening != "?:":
            raise self._budget.error("a pattern may not look around, nor name groups.")
        self._at += 3 if opening == "?:" else 1
        alternatives = self._read_alternatives()
        self._at += 1  # the closing bracket: `re` has checked that it is there
        return alternatives

    def _read_atom(self) -> _Alternatives:
        begin = self._at
        cost_ms = self._read_character()
        self._atoms.append(self._pattern[begin : self._at])
        return _Alternatives(cost_ms, [])

    def _read_character(self) -> float:
        """Read a character, an escape or a class."""
        character = self._next()
        if character == "\\":
            return self._read_escape()
        found = CLASS.match(self._pattern, self._at) if character == "[" else None
        if found:
            self._at = found.end()
            is_negated = bool(found[1])
            return self._count_wide() if is_negated or _is_wide(found[2]) else NARROW_MS
        self._at += 1
        return self._count_wide() if character == "." else LITERAL_MS

    def _read_escape(self) -> float:
        escaped = self._pattern[self._at + 1 : self._at + 2]
        if escaped in UNSUPPORTED_ESCAPES:
            raise self._budget.error(f"a pattern may not have `\\{escaped}`.")
        self._at += ESCAPE_LENGTHS.get(escaped, 2)
        if escaped in "wWDS":
            return self._count_wide()
        return NARROW_MS if escaped in "ds" else LITERAL_MS

    def _count_wide(self) -> float:
        self._wide_count += 1
        return WIDE_MS

    def _next(self) -> str:
        """Return the next character, or "" at the end."""
        return self._pattern[self._at : self._at + 1]


def _is_open_ended(quantifier: re.Match[str]) -> bool:
    """Return whether a quantifier repeats without end."""
    return quantifier[0] in "*+" or quantifier[0].endswith(",}")


def _has_separator(literals: set[str], varying: set[str]) -> bool:
    """Return whether one of some literals is matched by none of the varying atoms."""
    return any(not any(re.fullmatch(atom, literal) for atom in varying) for literal in literals)


def _is_wide(class_body: str) -> bool:
    """Return whether a character class has more than a few characters."""
    if CLASS_ESCAPE.search(class_body):
        return True  # also for `\d`, for simplicity
    characters = len(class_body)
    for first, last in RANGE.findall(class_body):
        characters += ord(last) - ord(first)
    return characters > NARROW_CLASS_MAX
