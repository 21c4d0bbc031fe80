"""Routes: which version and which engines answer for a model name.

Three tables for all: `style_table` leads model names to versions, `version_table` these to engines, and
`engine_table` has their facts. `library_table` says which styles a workspace may use. `publisher` says when
they are written, `row_writer` writes the tables, and `in_flight` says what the data plane still does with a
version.
"""
