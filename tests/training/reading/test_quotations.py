"""Which part of a document is quoted."""

import pytest

from training.reading.cleaning import quotation_share
from training.reading.drafts import Paragraph
from training.text import count_words


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("Nobody said a word.", 0),
        ("“Come in,” he said.", 0.5),
        ("„Komm herein“, sagte er.", 0.5),
        ("«Entrez donc», dit-elle alors.", 0.5),
        ("»Komm herein«, sagte er.", 0.5),
        ('"Come\nin," he said.', 0.5),
        ("「入れ」男言", 0.5),
        ("It's the boys' own 'word', isn't it.", 0),
        ("“ An opening mark alone opens nothing.", 0),
    ],
)
def test_the_share_is_of_words_in_quotation_marks(text, share):
    assert quotation_share([Paragraph(text)], count_words(text)) == share


def test_a_paragraph_that_is_marked_as_a_quotation_is_quoted_whole():
    assert quotation_share([Paragraph("Two words."), Paragraph("Two others.", is_quoted=True)], 4) == 0.5
