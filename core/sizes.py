"""Sizes in bytes."""

from django.utils.formats import number_format

GIB = 1024**3
MIB = 1024**2


def format_bytes(count: int) -> str:
    """Return a count of bytes as all pages show it."""
    if count >= GIB / 10:
        return f"{number_format(round(count / GIB, 1), 1, force_grouping=True)} GB"
    return f"{number_format(round(count / MIB, 1), 1, force_grouping=True)} MB"
