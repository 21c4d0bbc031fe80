"""Answers as files: python-docx reads back what was written, and a browser finds no HTML of a model's."""

import io

import docx
import pytest
from django.urls import reverse

from inference import exports
from inference.exports import write_docx, write_html, write_typed_docx

ANSWER = """# Poetry

The sea is **old**,
and *deaf*.

- one
- two

3. three

***

> quoted

    code
"""


def read(content: bytes):
    *paragraphs, last = docx.Document(io.BytesIO(content)).paragraphs
    assert not last.text
    return paragraphs


def test_headings_lists_quotes_and_lines_stay_what_they_are():
    paragraphs = read(write_docx(ANSWER))
    assert [(one.style.name, one.text) for one in paragraphs] == [
        ("Heading 1", "Poetry"),
        ("Normal", "The sea is old,\nand deaf."),
        ("List Bullet", "one"),
        ("List Bullet", "two"),
        ("List", "3. three"),
        ("Normal", "* * *"),
        ("Quote", "quoted"),
        ("Normal", "code"),
    ]
    assert [run.text for run in paragraphs[1].runs if run.bold] == ["old"]
    assert [run.text for run in paragraphs[1].runs if run.italic] == ["deaf"]


def test_what_was_typed_is_no_markdown_and_comes_out_as_typed():
    typed = "1. May\n   *not* a list\n\n# no heading\n\n\n\n<b>\tand `code`\n---\n> none  \n"
    heading, *paragraphs, noted = read(write_typed_docx("3. *A*", typed, "## Receipts"))
    assert [(one.style.name, one.text) for one in (heading, noted)] == [
        ("Heading 1", "3. *A*"),
        ("Heading 2", "Receipts"),
    ]
    assert {one.style.name for one in paragraphs} == {"Normal"}
    assert "\n\n".join(one.text for one in paragraphs) == typed


@pytest.mark.parametrize("text", ["", "a\x00b\x0bc", "\ud800", "\U0001f600 ٱلسَّلَامُ", "<b>&amp;</b>"])
def test_whatever_a_model_writes_is_a_document(text):
    read(write_docx(text))
    read(write_typed_docx(text, text))
    assert b"<b>" not in write_html(text)


@pytest.mark.django_db
def test_the_page_sends_the_file_and_refuses_what_is_too_long(alice_client, monkeypatch):
    address = reverse("inference:playground_docx")
    answer = alice_client.post(address, {"text": "# Poetry\n\nThe sea."})
    assert answer["Content-Disposition"] == 'attachment; filename="polyscribe.docx"'
    assert [one.text for one in read(answer.content)] == ["Poetry", "The sea."]
    monkeypatch.setattr(exports, "MAX_PARTS", 3)
    assert alice_client.post(address, {"text": "one\n\ntwo"}).status_code == 400


@pytest.mark.django_db
def test_the_page_sends_a_web_page_that_says_that_a_model_wrote_it(alice_client):
    answer = alice_client.post(reverse("inference:playground_html"), {"text": "The *sea*."})
    assert answer["Content-Disposition"] == 'attachment; filename="polyscribe.html"'
    assert "<em>sea</em>" in answer.text
    assert "trainedAlgorithmicMedia" in answer.text
