"""Which format a file has, by its name where its bytes don't tell."""

import pytest

from training.reading import ENDINGS
from training.reading.documents import Refused
from training.reading.readers import MODULES, OTHER_ENDINGS, TEXT_ENDINGS, recognise

TEXT = b"Dear Ann,"


def test_a_text_is_read_as_its_ending_says_or_refused_with_the_ending_of_another_format():
    assert {recognise(f"letter{ending}", TEXT) for ending in TEXT_ENDINGS} <= MODULES.keys()
    for ending in OTHER_ENDINGS:
        with pytest.raises(Refused, match="misnamed"):
            recognise(f"letter{ending}", TEXT)


def test_people_can_add_every_ending_that_is_known_and_no_other():
    assert {"", *ENDINGS} == {*TEXT_ENDINGS, *OTHER_ENDINGS}
    with pytest.raises(Refused, match="unsupported"):
        recognise("letter.exe", TEXT)
