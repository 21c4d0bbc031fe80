"""Workspaces and people: rows, roles, who acts and may do what, the audit log.

All APIs and consoles are built on it.
"""
