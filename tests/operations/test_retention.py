"""The table of retention has every model and every key of Valkey, and the docs show the table."""

import inspect
from datetime import timedelta

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import CASCADE, Model
from django.urls import reverse
from django.utils import timezone

from core import valkey as names
from core.queues import configured_queues
from operations import retention, tasks
from operations.retention import FILES, POSTGRESQL, TABLE, VALKEY, Row
from stack.folders import ROOT
from tenants.models import User

MODELS = {model.__name__: model for model in apps.get_models(include_auto_created=True)}
# Of what stays, and why that is bounded; and what others delete.
REASONS = {"bounded", "books", "expires", "operators", "Docker", "Prometheus"}
GUIDE = (ROOT / "docs" / "retention.md").read_text()


def list_keys() -> set[str]:
    """Return every key's name, with its parameters in angle brackets."""
    found = set()
    for name, function in inspect.getmembers(names, inspect.isfunction):
        if name.endswith("_key") and function.__module__ == names.__name__:
            parameters = inspect.signature(function).parameters
            found.add(function(*[f"<{parameter}>" for parameter in parameters]))
    return found


def goes_with(model: type[Model], owner: type[Model]) -> bool:
    return any(
        field.related_model is owner and field.remote_field.on_delete is CASCADE
        for field in model._meta.fields
        if field.remote_field
    )


def is_bounded(row: Row) -> bool:
    """Return whether something deletes what a row stores, or it says why nothing has to."""
    if row.delete:
        return not row.by
    if not row.by.startswith("with "):
        return row.by in REASONS or row.by.strip("`") in settings.CELERY_BEAT_SCHEDULE
    owner = row.by.removeprefix("with ").strip("`")
    return row in FILES or all(goes_with(MODELS[name], MODELS[owner]) for name in row.names)


def test_every_model_and_every_key_of_valkey_has_one_row():
    for rows, stored in ((POSTGRESQL, set(MODELS)), (VALKEY, list_keys())):
        listed = [name for row in rows for name in row.names]
        assert sorted(listed) == sorted(stored)
    assert [row.name for row in TABLE if not is_bounded(row)] == []


@pytest.mark.parametrize(
    ("title", "rows"), [("PostgreSQL", POSTGRESQL), ("Valkey", VALKEY), ("Files", FILES)]
)
def test_the_docs_show_the_table(title, rows):
    """If it fails, paste what it expects."""
    section = GUIDE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    shown = [line for line in section.splitlines() if line.startswith("| `")]
    assert shown == [row.line for row in rows], "\n".join(row.line for row in rows)


def test_each_row_is_swept_once_in_its_time_on_its_queue(valkey, monkeypatch):
    sent = {}

    def send(args, *, queue, expires):
        sent[args[0]] = (queue, expires)

    monkeypatch.setattr(tasks.delete_old, "apply_async", send)
    tasks.sweep_retention()
    assert sent == {row.name: (row.queue, row.every.total_seconds()) for row in TABLE if row.delete}
    assert {queue for queue, _ in sent.values()} <= configured_queues()
    sent.clear()
    tasks.sweep_retention()
    assert sent == {}
    valkey.delete(names.retention_key("OutboxEvent"))
    tasks.sweep_retention()
    assert list(sent) == ["OutboxEvent"]


@pytest.mark.django_db
@pytest.mark.parametrize("row", [row for row in TABLE if row.delete], ids=lambda row: row.name)
def test_sweeping_an_empty_site_deletes_nothing(row):
    assert retention.delete_old(row.name, timezone.now()) == 0


@pytest.mark.django_db
def test_more_than_a_batch_is_deleted_at_once(monkeypatch, caplog):
    monkeypatch.setattr(retention, "BATCH_SIZE", 2)
    operator = User.objects.create_user(email="op@example.org", password=None)
    kind = ContentType.objects.get_for_model(User)
    facts = {"user": operator, "content_type": kind, "object_id": "1", "action_flag": CHANGE}
    now = timezone.now()
    for days in (89, 91, 92, 93, 94, 95):
        LogEntry.objects.create(**facts, action_time=now - timedelta(days=days))
    with caplog.at_level("INFO", logger="operations.retention"):
        tasks.delete_old("LogEntry")
    assert [entry.action_time for entry in LogEntry.objects.all()] == [now - timedelta(days=89)]
    assert "5 of LogEntry" in caplog.text


@pytest.mark.django_db
def test_the_privacy_page_says_the_tables_days(client, settings):
    settings.OPERATOR_NAME = settings.OPERATOR_ADDRESS = settings.OPERATOR_EMAIL = "x"
    days = retention.days_kept("RefusedRequest")
    assert f"up to {days} days" in client.get(reverse("privacy")).text
