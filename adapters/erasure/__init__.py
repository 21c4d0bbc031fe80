"""Erasure: a version's files and copies go from everywhere, step by step, each step with its proof.

`workflow` withdraws, drains and deletes; `engine_purge` works beside an engine; `report` shows the steps.
"""
