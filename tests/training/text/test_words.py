"""What counts as a word, in scripts with and without spaces."""

import pytest

from training.text import count_words, normalize_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("* * *", 0),
        ("— … !", 0),
        ("Don't stop, well-known friend.", 4),
        ("home--and away—again", 4),
        ("Straßenbahn im Café, naïve", 4),
        ("cafe\u0301 nai\u0308ve", 2),
        ("吾輩は猫である。", 7),
        ("ESP32という部品", 6),
        ("हिन्दी में लिखना", 3),
        ("สวัสดีครับ", 2),
        ("안녕하세요 세계", 2),
        ("مرحبا بالعالم", 2),
        ("a" * 400, 10),
        ("." * 400, 10),
        (". " * 400, 10),
    ],
)
def test_words_are_what_a_writer_would_count(text, words):
    assert count_words(text) == words


def test_words_are_compared_without_case_apostrophes_and_composition():
    assert normalize_words("DON\u2019T Cafe\u0301 STRASSE") == normalize_words("don't caf\u00e9 straße")
