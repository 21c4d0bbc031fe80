"""Routes: which version and which engines answer for a model name.

`route_table` makes them of rows, `publisher` says when they are published, `hash_writer` writes them to
Valkey, and `in_flight` says what the data plane still does with a version.
"""
