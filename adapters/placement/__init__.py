"""Placement: which versions are wanted on which engine, and making each engine hold them.

`policy` decides, `planner` writes that as rows, `reconciler` brings each engine to its rows, and
`transitions` moves versions by what was found.
"""
