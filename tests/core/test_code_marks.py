"""What stands between backticks in a sentence is code on a page, and nothing else becomes HTML."""

import pytest

from core.grammar import mark_code


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("Send `n` and `max_tokens`.", "Send <code>n</code> and <code>max_tokens</code>."),
        ("The style `<b>` & more", "The style <code>&lt;b&gt;</code> &amp; more"),
        ("A ` alone, `` two", "A ` alone, `` two"),
        ("", ""),
    ],
)
def test_backticks_become_code_and_markup_stays_text(text, html):
    assert mark_code(text) == html
