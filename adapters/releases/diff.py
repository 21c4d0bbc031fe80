"""The difference between two versions of a style: what they answer to the owner's own prompts. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

from adapters.errors import PromptTooLong, TooManyPrompts
from adapters.models import AdapterVersion, Status, Style
from adapters.quality.prose_metrics import ProseMetrics, measure_prose, reading_ease, words, words_a_sentence

type VersionPair = tuple[AdapterVersion, AdapterVersion]


def serving_versions(style: Style) -> list[AdapterVersion]:
    """Return the versions of a style that serve, newest first."""
    return list(style.versions.filter(status=Status.SERVING).order_by("-number"))


def choose_pair(
    style: Style, versions: list[AdapterVersion], *, first_number: str, second_number: str
) -> VersionPair | None:
    """Return the two of some versions that are named, else the live one and the newest other one."""
    by_number = {str(version.number): version for version in versions}
    first = by_number.get(first_number) or style.live_version
    second = by_number.get(second_number)
    others = [version for version in versions if version != first]
    if first is None or not others:
        return None
    if second is None or second == first:
        second = others[0]
    return first, second


PROMPTS_MAX = 8
PROMPT_CHARACTERS = 500
ANSWER_CHARACTERS = 2000  # of the page's 120 tokens; to find what differs takes 4 ms for two of them at worst
PIECES_MAX = 200  # nobody reads more marks than that, and a page of them is slow to make
OPENING_WORDS = 3
# Smaller differences are not worth a sentence: a tenth, and five points of about a hundred.
MIN_LENGTH_RATIO = 0.1
MIN_EASE_POINTS = 5
WORD_AND_GAP = re.compile(r"\S+\s*")


@dataclass(frozen=True)
class Piece:
    """A stretch of an answer; `is_own`: the other answer has other words there."""

    text: str
    is_own: bool


@dataclass(frozen=True)
class ComparedAnswer:
    """What one version answered to one prompt."""

    pieces: list[Piece]
    word_count: int
    measures: ProseMetrics


@dataclass(frozen=True)
class Pair:
    """Both versions' answers to one prompt."""

    prompt: str
    first: ComparedAnswer
    second: ComparedAnswer


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
    for prompt in prompts:
        if len(prompt) > PROMPT_CHARACTERS:
            raise PromptTooLong(begins=prompt[:30], count=len(prompt), limit=PROMPT_CHARACTERS)
    return prompts


def compare_answers(
    prompts: Sequence[str], first: Sequence[str], second: Sequence[str], *, numbers: tuple[int, int]
) -> AnswerComparison:
    """Return two versions' answers to the same prompts side by side; `numbers` are the versions' own."""
    pairs = [_pair(*texts) for texts in zip(prompts, first, second, strict=True)]
    first_metrics = measure_prose(first, against=second)
    second_metrics = measure_prose(second, against=first)
    sentences = [
        _compare_lengths(numbers, first_metrics.words_a_sentence, second_metrics.words_a_sentence),
        _compare_ease(numbers, first_metrics.reading_ease, second_metrics.reading_ease),
        _compare_openings(list(zip(first, second, strict=True))),
    ]
    return AnswerComparison(pairs, first_metrics, second_metrics, list(filter(None, sentences)))


def differences(one: str, other: str) -> tuple[list[Piece], list[Piece]]:
    """Return two texts in pieces, those marked whose words the other text does not have in that place.

    Where the texts have next to nothing in common, each is one marked piece.
    """
    first = WORD_AND_GAP.findall(one)
    second = WORD_AND_GAP.findall(other)
    common_first = set()
    common_second = set()
    for first_place, second_place in common_words(_without_gaps(first), _without_gaps(second)):
        common_first.add(first_place)
        common_second.add(second_place)
    return _pieces(first, common_first), _pieces(second, common_second)


def _without_gaps(words_and_gaps: list[str]) -> list[str]:
    return [word.rstrip() for word in words_and_gaps]


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
    left = len(first)
    right = len(second)
    while left and right:
        if rows[right - 1] >> (left - 1) & 1:
            left -= 1
        elif right > 1 and not rows[right - 2] >> (left - 1) & 1:
            right -= 1
        else:
            left -= 1
            right -= 1
            common.append((left, right))
    return common


def _pieces(words_and_gaps: list[str], common: set[int]) -> list[Piece]:
    """Return the words of a text in pieces, those marked that are not at common places."""
    pieces = []
    for is_own, places in groupby(range(len(words_and_gaps)), key=lambda place: place not in common):
        text = "".join(words_and_gaps[place] for place in places)
        pieces.append(Piece(text, is_own=is_own))
    if len(pieces) > PIECES_MAX:
        return [Piece("".join(words_and_gaps), is_own=True)]
    return pieces


def _pair(prompt: str, first: str, second: str) -> Pair:
    first_pieces, second_pieces = differences(first, second)
    return Pair(prompt, _answer(first, first_pieces), _answer(second, second_pieces))


def _answer(text: str, pieces: list[Piece]) -> ComparedAnswer:
    # One answer is too short for phrases that are typical of it.
    measures = ProseMetrics(words_a_sentence([text]), reading_ease([text]), [])
    return ComparedAnswer(pieces, len(words(text)), measures)


def _compare_lengths(numbers: tuple[int, int], before: float | None, after: float | None) -> str:
    if not before or not after:
        return ""
    ratio = after / before - 1
    if abs(ratio) < MIN_LENGTH_RATIO:
        count = f"{(before + after) / 2:.0f}"
        return gettext("Both average about {count} words per sentence.").format(count=count)
    if ratio > 0:
        sentence = gettext(
            "Version {number} writes {percent}% longer sentences ({after} words, compared to {before})."
        )
    else:
        sentence = gettext(
            "Version {number} writes {percent}% shorter sentences ({after} words, compared to {before})."
        )
    return sentence.format(
        number=numbers[1],
        percent=f"{100 * abs(ratio):.0f}",
        after=number_format(round(after, 1), 1),
        before=number_format(round(before, 1), 1),
    )


def _compare_ease(numbers: tuple[int, int], before: float | None, after: float | None) -> str:
    if before is None or after is None or abs(after - before) < MIN_EASE_POINTS:
        return ""
    sentence = gettext("Version {number} is harder to read: reading ease {after}, compared to {before}.")
    if after > before:
        sentence = gettext("Version {number} is easier to read: reading ease {after}, compared to {before}.")
    return sentence.format(number=numbers[1], after=f"{after:.0f}", before=f"{before:.0f}")


def _compare_openings(pairs: Sequence[tuple[str, str]]) -> str:
    differing = sum(_opening(one) != _opening(other) for one, other in pairs)
    same = sum(one == other for one, other in pairs)
    if len(pairs) == 1:
        return _compare_one_opening(is_same=same == 1, differs=differing == 1)
    if same == len(pairs):
        return gettext("All {count} answers are identical.").format(count=same)
    if differing:
        sentence = ngettext(
            "{count} of {total} answers starts differently.",
            "{count} of {total} answers start differently.",
            differing,
        ).format(count=differing, total=len(pairs))
    else:
        sentence = gettext("All {count} answers start the same way.").format(count=len(pairs))
    if same:
        alike = ngettext("One is identical.", "{count} are identical.", same)
        sentence = f"{sentence} {alike.format(count=same)}"
    return sentence


def _compare_one_opening(*, is_same: bool, differs: bool) -> str:
    if is_same:
        return gettext("The answers are identical.")
    if differs:
        return gettext("The answers start differently.")
    return gettext("The answers start the same way, then diverge.")


def _opening(text: str) -> list[str]:
    return [word.lower() for word in words(text)[:OPENING_WORDS]]
