"""Sizes in bytes."""

GIB = 1024**3
