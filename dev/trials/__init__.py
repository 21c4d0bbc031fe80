"""Trials: what proves that the whole stack keeps its promises under load, kills and hostile input.

`python -m trials NAME` runs one. A trial starts a stack of its own and prints one line with its verdict.
"""
