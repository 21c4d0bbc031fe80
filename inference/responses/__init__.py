"""Responses and conversations that a workspace has us store: read, extended, deleted, pruned.

Everything here takes the id of the caller's workspace, and finds no other's rows.
"""
