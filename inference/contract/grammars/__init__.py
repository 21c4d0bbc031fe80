"""Bounds of what an answer may be made to look like: JSON schemas, regular expressions, choices.

The engine compiles each into a grammar. A compilation can't be stopped, and it takes CPU from every request.
So its cost is estimated here by structure, in microseconds, and refused before the engine sees it.
"""

from inference.contract.grammars.nesting import check_depth, next_level
from inference.contract.grammars.schemas import check_schemas
from inference.contract.grammars.texts import check_choices, check_regex, digest_of

__all__ = ["check_choices", "check_depth", "check_regex", "check_schemas", "digest_of", "next_level"]
