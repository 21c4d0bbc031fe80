"""Placement: which versions are wanted on which engine, and making each engine hold them.

`policy` decides, `planner` writes rows, `reconciler` and `loader` bring an engine to them, `transitions`
moves a version's status by what was found there.
"""
