"""The installation's watermark keys, by epoch: `1:HEX16,2:HEX16`."""

KEY_DIGITS = 16  # hexadecimal, of 64 bits


class BadWatermarkKeys(ValueError):
    """WATERMARK_KEYS isn't a list of EPOCH:KEY with each epoch once and keys of 16 hexadecimal digits."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def parse_keys(text: str) -> dict[int, int]:
    """Return epoch → key of what WATERMARK_KEYS says. Raises BadWatermarkKeys."""
    keys: dict[int, int] = {}
    for pair in text.split(","):
        if not pair.strip():
            continue
        epoch, _, key = pair.strip().partition(":")
        is_key = len(key) == KEY_DIGITS and not set(key.lower()) - set("0123456789abcdef")
        if not (epoch.isdecimal() and int(epoch) > 0 and is_key and int(epoch) not in keys):
            raise BadWatermarkKeys
        keys[int(epoch)] = int(key, 16)
    return keys
