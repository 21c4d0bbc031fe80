"""What a check says of texts with and without the mark, and of what is pasted around them."""

import pytest

from provenance import checks
from provenance.checks import MAX_CHARACTERS, MAX_PASSAGES, check_provenance, check_watermark, round_up
from provenance.errors import NoDetector, NothingToCheck, TextTooLong
from tests.provenance.marked import write


def test_a_marked_text_is_found_with_the_epoch_of_its_key():
    check = check_watermark(write(80))
    assert (check.verdict, check.epoch) == ("found", 3)
    assert check.p_value <= 1e-4


def test_a_text_without_the_mark_is_not_found_or_too_short():
    assert check_watermark(write(600, key=None)).verdict == "not_found"
    short = check_watermark(write(20, key=None))
    assert (short.verdict, short.epoch) == ("too_short", None)


def test_of_a_mixed_text_the_paragraphs_that_carry_the_mark_are_named():
    parts = [write(200, key=None, seed=2), write(90, seed=3), write(120, key=None, seed=4)]
    text = "\r\n\r\n".join(parts)
    check = check_watermark(text)
    assert check.verdict == "found"
    assert [one.is_found for one in check.passages] == [False, True, False]
    assert (
        [text[one.start : one.end] for one in check.passages] == [one.text for one in check.passages] == parts
    )


def test_without_keys_nothing_is_found(settings):
    settings.WATERMARK_KEYS = {}
    assert check_watermark(write(80)).verdict == "too_short"


def test_many_paragraphs_are_bounded():
    assert len(check_watermark("\n\n".join([write(2)] * 500)).passages) == MAX_PASSAGES


@pytest.mark.parametrize(
    ("text", "error"), [(" \n", NothingToCheck), ("a" * (MAX_CHARACTERS + 1), TextTooLong)]
)
def test_what_can_not_be_checked_is_refused(text, error):
    with pytest.raises(error):
        check_provenance(text, "")


def test_without_the_tokenizer_the_check_says_so(monkeypatch):
    monkeypatch.setattr(checks, "encode_text", lambda text: None)
    with pytest.raises(NoDetector):
        check_watermark("a text")


@pytest.mark.parametrize(
    ("p_value", "rounded"), [(1.0, 1.0), (0.2, 1.0), (0.1, 0.1), (3e-5, 1e-4), (1e-4, 1e-4), (1e-40, 1e-12)]
)
def test_p_values_are_rounded_up_to_powers_of_ten(p_value, rounded):
    assert round_up(p_value) == pytest.approx(rounded, rel=1e-12)
