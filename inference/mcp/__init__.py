"""`/mcp`: styles as tools of the Model Context Protocol, for Claude, Cursor, VS Code and others.

Public: `app`. Each tool calls `/v1` within the process, with the caller's own key.
"""
