"""Routes: which version and which engines answer for a model name.

`route_table` computes them from rows, `publisher` writes them to Valkey, and `in_flight` says what the data
plane still does with a version.
"""
