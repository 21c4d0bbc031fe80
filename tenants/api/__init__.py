"""The management API of a workspace: who calls, what they may, how often; keys, usage, plan, members.

Public face: `views.WorkspaceView`, `views.idempotent` and `schema.operation`. Other packages build on them.
"""
