"""Whether an answer is watermarked, and what the gateway says about it.

An answer's word is the value of the header `x-polyscribe-watermark`, of the field `watermark` in a stream's
last chunk, and of its usage event: `gumbel; epoch=3`, `gumbel; epoch=3; faint`, or `none; reason=greedy`.
"""

from typing import Literal

from django.conf import settings

from inference.contract.field_reader import require
from inference.contract.route import is_greedy
from inference.facts import JsonObject

# The engine draws so many tokens of each sequence without the mark, so that two answers to one prompt differ
# (docs/provenance.md).
UNMARKED_TOKENS = 4

NO_KEY = "none; reason=engine"
FAINT = "; faint"  # the engine found too little of the mark in the answer's tokens
# What generated text is, for programs: https://cv.iptc.org/newscodes/digitalsourcetype/
DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

type Unmarkable = Literal["", "structured", "greedy"]


def read_unmarkable(fields: JsonObject, *, has_grammar: bool) -> Unmarkable:
    """Return why no engine can mark the answer to these fields of a checked request, "" if one can.

    A grammar leaves too little choice for a mark, and to the likeliest token there is no alternative.
    """
    response_format = fields.get("response_format") or {}
    if has_grammar or response_format.get("type") == "json_object":
        return "structured"
    return "greedy" if is_greedy(fields) else ""


def check_watermarking(wants: bool | None, unmarkable: Unmarkable) -> None:
    """Check what a request says about the watermark. Raises BadRequest.

    Whether its workspace lets it turn the watermark off, admission decides.
    """
    if wants:
        require(settings.WATERMARK != "off", "watermarking", "must be false: this service has no watermark")
        require(unmarkable != "greedy", "watermarking", "needs a `temperature` above 0")
        require(unmarkable != "structured", "watermarking", "can't be combined with a schema or forced tools")
    elif wants is False:
        is_allowed = settings.WATERMARK != "required"
        require(is_allowed, "watermarking", "must be true: this service watermarks all text it generates")


def needs_permission(wants: bool | None) -> bool:
    """Return whether a request is served only if its workspace or its key has turned the watermark off."""
    return wants is False and settings.WATERMARK != "off"


def unmarked_reason(
    wants: bool | None, unmarkable: Unmarkable, *, output_tokens: int, may_be_unmarked: bool
) -> str:
    """Return why the engine is to leave an answer unmarked; "" if it is to mark it.

    `may_be_unmarked` says that the workspace or the key has turned the watermark off.
    """
    policy = settings.WATERMARK
    if wants is None:
        wants = policy == "required" or not may_be_unmarked
    if policy == "off" or not wants:
        return "off"
    return unmarkable or ("short" if output_tokens <= UNMARKED_TOKENS else "")


def describe_mark(reason: str, epoch: str) -> str:
    """Return an answer's word; `epoch` is that of the engine's key, "" if it has none."""
    if reason:
        return f"none; reason={reason}"
    return f"gumbel; epoch={epoch}" if epoch else NO_KEY


def lacks_key(word: str) -> bool:
    """Return whether an answer's word says that its engine had no key."""
    return word == NO_KEY


def epoch_of(word: str) -> int | None:
    """Return the epoch that an answer's word names; None if it has no mark."""
    return int(word.removesuffix(FAINT).rpartition("=")[2]) if is_marked(word) else None


def correct_short(word: str, *, completion_tokens: int, sequences: int) -> str:
    """Return the word of an answer that has ended: one that is all unmarked beginning has no mark."""
    is_short = completion_tokens <= UNMARKED_TOKENS * sequences
    return "none; reason=short" if is_short and is_marked(word) else word


def is_marked(word: str) -> bool:
    """Return whether an answer's word says that it is watermarked."""
    return word.startswith("gumbel")


def mark_faint(word: str) -> str:
    """Return the word of an answer of which the engine says that a detector would hardly find its mark."""
    return word.removesuffix(FAINT) + FAINT if is_marked(word) else word
