"""The queue of the reader: one document a task, workspaces in turns, within a budget of seconds an hour."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from core import valkey
from tenants.access import access_of_person
from training import actions, documents
from training.errors import StillReading
from training.models import Document, Training
from training.notes import TrainingNote

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("base_model", "valkey", "reads_here")]
Status = Document.Status


@pytest.fixture
def many(access) -> Training:
    """A training of Acme with three texts that wait."""
    return add_texts(access, 3)


@pytest.fixture
def one(charlie, charlies) -> Training:
    """A training of another workspace with one text, which came later."""
    return add_texts(access_of_person(charlie, charlies, address=None), 1)


def add_texts(access, count: int) -> Training:
    training = actions.create_training(access, slug="my-voice", name="My voice")
    for number in range(count):
        actions.add_text(access, training, f"{number}.txt", "The river had risen in the night.")
    return training


def count_read(training: Training) -> int:
    return training.documents.filter(status=Status.READ).count()


def spend(training: Training, seconds: float) -> None:
    valkey.client().set(valkey.reader_seconds_key(training.tenant_id), seconds)


@contextmanager
def another_worker(action: str) -> Iterator[None]:
    """Do an action in another session of the database."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [action])
        yield
    finally:
        other.close()


def test_a_call_reads_one_document_and_the_next_is_another_workspaces(many, one):
    assert documents.read_next()
    assert (count_read(many), count_read(one)) == (1, 0)
    assert documents.read_next()
    assert (count_read(many), count_read(one)) == (1, 1)
    assert documents.read_next()
    assert documents.read_next()
    assert not documents.read_next()
    assert count_read(many) == 3


def test_while_a_document_of_a_workspace_is_read_the_next_one_is_of_another(many, one):
    with another_worker(f"reading {many.tenant_id}"):
        assert documents.read_next()
        assert (count_read(many), count_read(one)) == (0, 1)
        assert not documents.read_next()


def test_a_workspace_that_used_its_seconds_waits_and_is_told(many, one, access):
    spend(many, documents.READER_BUDGET_S)
    assert documents.read_next()
    assert not documents.read_next()
    assert (count_read(many), count_read(one)) == (0, 1)
    many.refresh_from_db()
    assert many.note == TrainingNote.READING_LATER(minutes=10)
    with pytest.raises(StillReading):
        actions.prepare_training(access, many)
    valkey.client().delete(valkey.reader_seconds_key(many.tenant_id))
    assert documents.read_next()
    many.refresh_from_db()
    assert not many.note.code


def test_seconds_are_counted_for_an_hour_from_the_first(many):
    documents.read_next()
    key = valkey.reader_seconds_key(many.tenant_id)
    assert float(valkey.client().get(key)) > 0
    assert 0 < valkey.client().ttl(key) <= documents.HOUR_S
    valkey.client().expire(key, 100)
    documents.read_next()
    assert valkey.client().ttl(key) <= 100, "the hour doesn't begin again"


def test_a_document_that_stops_its_reader_is_counted_and_others_go_on(many, one, monkeypatch):
    def crash(*_: object) -> None:
        spend(many, 5)
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(documents, "_read", crash)
        with pytest.raises(RuntimeError):
            documents.read_next()
    many.refresh_from_db()
    assert many.note == TrainingNote.OUR_FAULT()
    assert documents.read_next()
    assert count_read(one) == 1
