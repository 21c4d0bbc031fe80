"""Which version of a style answers: aliases, canaries, review of public styles, comparison.

Versions are immutable and aliases move: `aliases` moves them, the others say whether it should.
"""
