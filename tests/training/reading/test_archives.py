"""Archives whose bytes were changed at random: each is refused with a reason or read, and nothing breaks."""

import gzip
import warnings
from random import Random

import pytest

from tests.training.reading import builders
from training.reading import LIMITS
from training.reading.archives import FORMATS, list_members
from training.reading.documents import Refused
from training.reading.readers import recognise

CHANGES = 400
TAR = builders.make_tar({"a.txt": b"one " * 90, "b.txt": b"two " * 200})
FILES = {
    "a.zip": builders.make_zip({"a.txt": "one " * 90, "b/c.md": "two " * 90}),
    "a.tar": TAR,
    "a.tar.gz": gzip.compress(TAR),
    "a.docx": builders.make_docx(builders.word_paragraph("One.")),
    "a.epub": builders.make_epub({"a.xhtml": "<p>One."}),
}


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_archive_raises_nothing_but_a_refusal(name):
    chance = Random(name)
    refused = 0
    for _ in range(CHANGES):
        content = bytearray(FILES[name])
        for _ in range(chance.choice([1, 2, 5, 30])):
            content[chance.randrange(len(content))] = chance.choice([0, 255, chance.randrange(256)])
        refused += is_refused(
            name, bytes(content[: chance.choice([None, chance.randrange(1, len(content))])])
        )
    assert 0 < refused < CHANGES


def is_refused(name: str, content: bytes) -> bool:
    with warnings.catch_warnings(action="ignore"):  # zipfile warns of members that overlap
        try:
            format_name = recognise(name, content)
            if format_name in FORMATS:
                for member in list_members(format_name, content, LIMITS):
                    member.read()
        except Refused:
            return True
    return False
