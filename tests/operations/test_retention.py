"""docs/retention.md names every table and every key of Valkey, and who lets them go."""

import inspect
from datetime import timedelta

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import CASCADE, Model
from django.utils import timezone

from core import valkey as names
from operations import tasks
from tenants.models import User
from tests.operations.builders import read_table

MODELS = {model.__name__: model for model in apps.get_models(include_auto_created=True)}
# Of what stays, and why that is bounded.
REASONS = {"bounded", "books", "expires", "operators"}


def list_keys() -> set[str]:
    """Return every key's name, with its parameters in angle brackets."""
    found = set()
    for name, function in inspect.getmembers(names, inspect.isfunction):
        if name.endswith("_key") and function.__module__ == names.__name__:
            parameters = inspect.signature(function).parameters
            found.add(function(*[f"<{parameter}>" for parameter in parameters]))
    return found


def is_in_timetable(by: str) -> bool:
    return by.strip("`") in settings.CELERY_BEAT_SCHEDULE


def goes_with(model: type[Model], by: str) -> bool:
    owner = MODELS[by.removeprefix("with ").strip("`")]
    return any(
        field.related_model is owner and field.remote_field.on_delete is CASCADE
        for field in model._meta.fields
        if field.remote_field
    )


def test_every_table_has_a_pruner_goes_with_its_owner_or_says_why_it_stays():
    told = read_table("PostgreSQL")
    assert set(told) == set(MODELS)
    wrong = []
    for name, by in told.items():
        is_known = goes_with(MODELS[name], by) if by.startswith("with ") else by in REASONS
        if not (is_known or is_in_timetable(by)):
            wrong.append((name, by))
    assert wrong == []


def test_every_key_of_valkey_has_a_pruner_expires_or_says_why_it_stays():
    told = read_table("Valkey")
    assert set(told) == list_keys()
    assert [by for by in told.values() if not (by in REASONS or is_in_timetable(by))] == []


@pytest.mark.django_db
def test_the_consoles_own_notes_go_after_three_months():
    operator = User.objects.create_user(email="op@example.org", password=None)
    kind = ContentType.objects.get_for_model(User)
    facts = {"user": operator, "content_type": kind, "object_id": "1", "action_flag": CHANGE}
    now = timezone.now()
    for age in (timedelta(days=89), timedelta(days=91)):
        LogEntry.objects.create(**facts, action_time=now - age)
    tasks.prune_console_history()
    assert [entry.action_time for entry in LogEntry.objects.all()] == [now - timedelta(days=89)]
