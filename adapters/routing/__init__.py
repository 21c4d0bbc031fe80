"""Routes: which version and which engines answer for a model name.

Three tables: `route_table` leads a tenant's names to versions, `version_table` these to engines, and
`engine_table` has their facts. `publisher` says when they are written, `hash_writer` writes the first and
`row_writer` the other two. `lookup` joins them, and `in_flight` says what the data plane still does with a
version.
"""
