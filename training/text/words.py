"""Words in any script: how many a text has, and when two are the same.

A word is what a writer would count. Scripts without spaces have no such thing: a Chinese or Japanese
character counts as one, as in word processors, and so do five letters of Thai, Lao, Burmese or Khmer.
Whatever else runs on without a space counts as one word per 40 characters: no long text has only a few words.
"""

import re
import unicodedata

CJK = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
SOUTH_EAST_ASIAN = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
# Accents and vowel signs, which \w leaves out: combining marks, Hebrew, Arabic, the scripts of India.
MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff\u200c\u200d"
LETTERS = rf"[^\W{CJK}{SOUTH_EAST_ASIAN}]{{1,40}}"
WORD = re.compile(
    rf"{LETTERS}(?:(?:[{MARKS}]{{1,8}}|['\u2019-]){LETTERS}){{0,7}}[{MARKS}]{{0,8}}"
    rf"|[{CJK}]"
    rf"|[{SOUTH_EAST_ASIAN}]{{1,5}}"
    r"|(?:[^\w\s]\s*+){40}"
)


def count_words(text: str) -> int:
    """Return the number of words in `text`; "well-known" and "don't" are one each."""
    # One at a time: the child that reads a document has no memory for a list of a million words.
    return sum(1 for _ in WORD.finditer(text))


def normalize_word(word: str) -> str:
    """Return the form in which words are compared: one case, one kind of apostrophe, composed letters."""
    return unicodedata.normalize("NFKC", word).casefold().replace("\u2019", "'")


def normalize_words(text: str) -> list[str]:
    """Return the words of `text` as they are compared."""
    return [normalize_word(word) for word in WORD.findall(text)]
