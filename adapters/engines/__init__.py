"""What an engine is to us: vLLM's control API, its memory.

Public face: `client` (list, load, unload, health), `capacity`.
"""
