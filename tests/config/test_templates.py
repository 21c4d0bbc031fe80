"""Templates can be read: lines that fit a screen, and names in translated sentences that a person chose."""

import re

import pytest

from stack.folders import ROOT

LONGEST_LINE = 140
TEMPLATES = ROOT / "templates"
FILES = sorted(file for file in TEMPLATES.rglob("*") if file.suffix in (".html", ".txt"))
SENTENCE = re.compile(r"{% blocktrans(?:late)?\b[^%]*%}")
FACT = re.compile(r"(\w+)=([\w.]+)")
HIDDEN_END = re.compile(
    r"<span class=\"visually-hidden\">[^<]*</span>\s*{% endblocktranslate %}\s+</(?:a|button)>"
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(TEMPLATES)))
def test_no_line_is_longer_than_a_screen(file):
    lines = enumerate(file.read_text().splitlines(), start=1)
    assert [number for number, line in lines if len(line) > LONGEST_LINE] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(TEMPLATES)))
def test_the_facts_of_a_sentence_are_named_for_what_they_are(file):
    facts = [fact for tag in SENTENCE.findall(file.read_text()) for fact in FACT.findall(tag)]
    assert [name for name, value in facts if "." in value and name == value.replace(".", "_")] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(TEMPLATES)))
def test_no_white_space_follows_what_only_screen_readers_read_at_a_buttons_end(file):
    """It would be an item of its own there, so the text would stand half a gap to the left of the middle."""
    assert HIDDEN_END.findall(file.read_text()) == []
