"""Codes of languages."""


def base_language(code: str) -> str:
    """Return the language of a code without its region: `de` of `de-AT`."""
    return code.partition("-")[0].partition("_")[0].lower()
