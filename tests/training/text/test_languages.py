"""Which language a text is in."""

import json
from pathlib import Path

import pytest

from training.text import detect_language

# The first article of the Universal Declaration of Human Rights; in some an everyday sentence, too.
TEXTS = json.loads((Path(__file__).parent / "languages.json").read_text())


@pytest.mark.parametrize("language", sorted(TEXTS.keys() - {"da"}))
def test_a_few_sentences_tell_the_language(language):
    assert detect_language(TEXTS[language]) == language


@pytest.mark.parametrize("text", ["", "Hello.", "1 2 3 " * 100, "xyzzy plugh frotz " * 30])
def test_a_text_that_does_not_tell_has_none(text):
    assert detect_language(text) == ""


def test_danish_is_taken_for_norwegian_by_nobody():
    """The two share most of their common words: no answer is better than a wrong one."""
    assert detect_language(TEXTS["da"]) in ("da", "")
