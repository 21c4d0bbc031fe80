"""Ids of rows as programs know them: a prefix and 32 hexadecimal digits, such as `conv_8a4d…`."""

from uuid import UUID


def read_id(written: str, prefix: str) -> UUID | None:
    """Return the key of a row that programs know with a prefix; None if it can't be one."""
    digits = written.removeprefix(prefix)
    is_hex = len(digits) == 32 and digits.isascii() and digits.isalnum() and digits == digits.lower()
    if digits == written or not is_hex:
        return None
    try:
        return UUID(hex=digits)
    except ValueError:
        return None
