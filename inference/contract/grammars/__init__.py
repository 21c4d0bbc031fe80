"""Bounds of what an answer may be made to look like: JSON schemas, regular expressions, choices.

These are cheap limits of size, depth and keywords. What following a grammar really costs is bounded in the
engine (decision 82), which ends a request whose grammar takes too much.
"""

from inference.contract.grammars.nesting import check_depth, next_level
from inference.contract.grammars.schemas import check_schemas
from inference.contract.grammars.texts import check_choices, check_regex, digest_of

__all__ = ["check_choices", "check_depth", "check_regex", "check_schemas", "digest_of", "next_level"]
