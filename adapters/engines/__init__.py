"""What an engine is to us: vLLM's control API, its identity adapter, its memory.

Public face: `client` (list, load, unload, health), `identity`, `capacity`.
"""
