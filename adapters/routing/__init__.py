"""Routes: which version and which engines answer for a model name.

Three tables for all: one leads model names to versions, one these to engines, and one has the engines'
facts. A workspace's library says which styles it may use. `tables` makes their rows, `publisher` writes them
when something changed.
"""
