"""People and workspaces: sign-up, membership, roles, who may see a page.

Public face: `workspaces`, `access` and `roles`; `adapter` and `passwords` are what allauth calls.
"""
