"""What a version does to the base model's words, measured on an engine.

Public face: `effect_probe` (before it serves) and `samples` (what it writes, and both for a page).
"""
