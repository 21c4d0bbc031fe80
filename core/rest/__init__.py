"""The management API's common parts: problem documents, pages of lists, strict bodies, ETags.

The apps build their views on `tenants.rest.WorkspaceView`, which adds who calls and what they may.
"""
