"""The management API of a workspace: who calls, what they may, how often; keys, usage, plan, members.

Public face: `viewsets.WorkspaceViewSet`, which other packages build on, and `tenants.rest`.
"""
