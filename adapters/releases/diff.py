"""Comparing two versions of a style by what they answer to the owner's own prompts. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from adapters.errors import PromptTooLong, TooManyPrompts
from adapters.quality.prose_metrics import ProseMetrics, measure_prose, reading_ease, words, words_a_sentence

PROMPTS_MAX = 8
PROMPT_CHARACTERS = 500
ANSWER_CHARACTERS = 2000  # of the page's 120 tokens; finding what differs takes at worst 4 ms for two of them
PIECES_MAX = 200  # more than that is no reading, and a page of them is slow to make
OPENING_WORDS = 3
# Smaller differences are not worth a sentence: a tenth, and five points of about a hundred.
LENGTH_RATIO, EASE_POINTS = 0.1, 5
WORD_AND_GAP = re.compile(r"\S+\s*")


@dataclass(frozen=True)
class Piece:
    """A stretch of an answer; `is_own`: the other answer has other words there."""

    text: str
    is_own: bool


@dataclass(frozen=True)
class Answer:
    """What one version answered to one prompt."""

    pieces: list[Piece]
    word_count: int
    measures: ProseMetrics


@dataclass(frozen=True)
class Pair:
    """Both versions' answers to one prompt."""

    prompt: str
    first: Answer
    second: Answer


@dataclass(frozen=True)
class AnswerComparison:
    """All pairs, both versions' measures over all of them, and what differs in words."""

    pairs: list[Pair]
    first: ProseMetrics
    second: ProseMetrics
    sentences: list[str]


def parse_prompts(text: str) -> list[str]:
    """Return the prompts written in a text, one a line, each once. Raises TooManyPrompts or PromptTooLong."""
    lines = [line.strip() for line in text.replace("\0", "").splitlines()]
    prompts = list(dict.fromkeys(filter(None, lines)))
    if len(prompts) > PROMPTS_MAX:
        raise TooManyPrompts(count=len(prompts), limit=PROMPTS_MAX)
    if long := next((one for one in prompts if len(one) > PROMPT_CHARACTERS), ""):
        raise PromptTooLong(begins=long[:30], count=len(long), limit=PROMPT_CHARACTERS)
    return prompts


def compare_answers(
    prompts: Sequence[str], first: Sequence[str], second: Sequence[str], *, numbers: tuple[int, int]
) -> AnswerComparison:
    """Return two versions' answers to the same prompts side by side; `numbers` are the versions' own."""
    pairs = [_pair(*one) for one in zip(prompts, first, second, strict=True)]
    all_first, all_second = measure_prose(first, against=second), measure_prose(second, against=first)
    told = [
        _lengths(numbers, all_first.words_a_sentence, all_second.words_a_sentence),
        _ease(numbers, all_first.reading_ease, all_second.reading_ease),
        _beginnings(list(zip(first, second, strict=True))),
    ]
    return AnswerComparison(pairs, all_first, all_second, [sentence for sentence in told if sentence])


def differences(one: str, other: str) -> tuple[list[Piece], list[Piece]]:
    """Return two texts in pieces, those marked whose words the other text does not have in that place.

    Where the texts have next to nothing in common, each is one marked piece.
    """
    first, second = WORD_AND_GAP.findall(one), WORD_AND_GAP.findall(other)
    common = common_words([*map(str.rstrip, first)], [*map(str.rstrip, second)])
    return _pieces(first, {at for at, _ in common}), _pieces(second, {at for _, at in common})


def common_words(first: Sequence[str], second: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places, last ones first, of a longest common subsequence in both.

    A row of the table is one integer whose bit is 0 where the length grows (Hyyrö, "Bit-parallel LCS-length
    computation revisited", 2004): the time is len(second) additions of len(first) bits. `difflib` takes the
    cube of the length where words repeat.
    """
    places: dict[str, int] = {}
    for at, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << at
    full = row = (1 << len(first)) - 1
    rows = []
    for word in second:
        grown = row & places.get(word, 0)
        row = ((row + grown) | (row - grown)) & full
        rows.append(row)
    common = []
    left, right = len(first), len(second)
    while left and right:
        if rows[right - 1] >> (left - 1) & 1:
            left -= 1
        elif right > 1 and not rows[right - 2] >> (left - 1) & 1:
            right -= 1
        else:
            left, right = left - 1, right - 1
            common.append((left, right))
    return common


def _pieces(words_and_gaps: list[str], common: set[int]) -> list[Piece]:
    """Return the words of a text in pieces, those marked that are not at common places."""
    runs = groupby(enumerate(words_and_gaps), key=lambda word: word[0] not in common)
    pieces = [Piece("".join(text for _, text in run), is_own=is_own) for is_own, run in runs]
    if len(pieces) > PIECES_MAX:
        return [Piece("".join(words_and_gaps), is_own=True)]
    return pieces


def _pair(prompt: str, first: str, second: str) -> Pair:
    pieces = differences(first, second)
    return Pair(prompt, _answer(first, pieces[0]), _answer(second, pieces[1]))


def _answer(text: str, pieces: list[Piece]) -> Answer:
    measures = ProseMetrics(
        words_a_sentence([text]), reading_ease([text]), []
    )  # of one answer no phrase tells
    return Answer(pieces, len(words(text)), measures)


def _lengths(numbers: tuple[int, int], before: float | None, after: float | None) -> str:
    if not before or not after:
        return ""
    ratio = after / before - 1
    if abs(ratio) < LENGTH_RATIO:
        return f"Both write sentences of about {(before + after) / 2:.0f} words."
    word = "longer" if ratio > 0 else "shorter"
    lengths = f"{after:.1f} words against {before:.1f}"
    return f"Version {numbers[1]} writes sentences {100 * abs(ratio):.0f} % {word} ({lengths})."


def _ease(numbers: tuple[int, int], before: float | None, after: float | None) -> str:
    if before is None or after is None or abs(after - before) < EASE_POINTS:
        return ""
    word = "easier" if after > before else "harder"
    return f"Version {numbers[1]} reads {word}: {after:.0f} against {before:.0f} of reading ease."


def _beginnings(pairs: Sequence[tuple[str, str]]) -> str:
    differing = sum(_opening(one) != _opening(other) for one, other in pairs)
    same = sum(one == other for one, other in pairs)
    count = f"{len(pairs)} answer{'s' * (len(pairs) != 1)}"
    if same == len(pairs):
        return f"All {count} are the same to the letter."
    rest = f" {same} are the same to the letter." if same > 1 else " One is the same to the letter." * same
    return f"{differing} of {count} begin{'s' * (differing == 1)} differently.{rest}"


def _opening(text: str) -> list[str]:
    return [word.lower() for word in words(text)[:OPENING_WORDS]]
