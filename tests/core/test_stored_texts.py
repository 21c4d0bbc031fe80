"""What was stored in English is read in the reader's language."""

import time

import pytest
from django.utils.translation import override

from core.errors import DomainError
from core.stored_texts import MAX_CHARACTERS, translate_stored


class NotFoundHere(DomainError):
    """The style has no version {number}."""


@pytest.mark.parametrize(
    ("stored", "german"),
    [
        ("Upload the adapter again.", "Laden Sie den Adapter noch einmal hoch."),
        ("The style has no version 7.", "Der Stil hat keine Version 7."),
        (
            "adapter_config.json is not a JSON object: it is nested too deeply.",
            "adapter_config.json ist kein JSON-Objekt: es ist zu tief verschachtelt.",
        ),
        ("Hosting of 1,200 private styles", "Bereitstellung von 1.200 privaten Stilen"),
        ("Credits: top-up of 2026-10-03", "Guthaben: Aufladung vom 2026-10-03"),
        ("Nobody translated this.", "Nobody translated this."),
        ("", ""),
    ],
)
def test_a_stored_sentence_is_told_in_german_with_its_facts(stored, german):
    with override("de"):
        assert translate_stored(stored) == german
    assert translate_stored(stored) == stored


def test_an_error_speaks_to_people_in_their_language_and_to_logs_in_english():
    with override("de"):
        error = NotFoundHere(number=7)
        assert error.message == "Der Stil hat keine Version 7."
        assert str(error) == "The style has no version 7."
    assert error.message == "The style has no version 7."


def test_a_sentence_that_fits_a_message_in_many_ways_costs_nobody_time():
    nearly = "Version a failed a of a times, version a a of a"  # of a message with six facts
    hostile = (nearly * MAX_CHARACTERS)[:MAX_CHARACTERS]
    began = time.process_time()
    with override("de"):
        assert translate_stored(hostile).startswith("Version a failed a of a times")
    assert time.process_time() - began < 1  # regular expressions took a minute and more
