"""What a version does to the base model's words, measured on an engine.

Public face: `effect_probe` (before it serves), `samples` (what it writes), `cards` (both, for a page).
"""
