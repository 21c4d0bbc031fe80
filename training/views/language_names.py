"""Names of languages, for people."""

from django.conf.locale import LANG_INFO
from django.utils.translation import gettext


def name_language(code: str) -> str:
    """Return a language's name in the active language; the code itself where it is not known."""
    if not code:
        return gettext("unclear")
    known = LANG_INFO.get(code, {})
    return gettext(str(known["name"])) if "name" in known else code
