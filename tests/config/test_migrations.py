"""Migrations run while the version before still serves: what it could not live with needs two steps.

A column goes once the version before does not use it any more: its migration says since when, `unused_since`.
"""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

# The first ones make new tables, which nobody reads yet.
BEFORE = dict.fromkeys(
    (
        "tenants",
        "events",
        "metering",
        "accounts",
        "adapters",
        "inference",
        "billing",
        "training",
        "operations",
    ),
    1,
)
TAKEN_AWAY = (
    migrations.RemoveField,
    migrations.DeleteModel,
    migrations.RenameField,
    migrations.RenameModel,
    migrations.AlterModelTable,
)
DATA = (migrations.RunPython, migrations.RunSQL)


def find_faults(migration: migrations.Migration, state: ProjectState) -> Iterator[str]:
    """Yield what the version before could not live with, or what locks a table for long."""
    operations = migration.operations
    new_models = {one.name_lower for one in operations if isinstance(one, migrations.CreateModel)}
    has_data = [isinstance(one, DATA) for one in operations]
    if any(has_data) and not all(has_data):
        yield "schema and data in one migration: rows stay locked until both are done"
    for operation in operations:
        model = getattr(operation, "model_name", getattr(operation, "name", ""))
        if model.lower() not in new_models:
            fault = _find_fault(migration, operation, state)
            if fault:
                yield f"{operation.describe()}: {fault}"
        operation.state_forwards(migration.app_label, state)


def _find_fault(migration: migrations.Migration, operation: Operation, state: ProjectState) -> str:
    fault = ""
    if isinstance(operation, TAKEN_AWAY) and not getattr(migration, "unused_since", ""):
        fault = "the version before uses it: say `unused_since` once it does not"
    elif isinstance(operation, migrations.AddField):
        field = operation.field
        if not (field.null or field.many_to_many or field.db_default is not models.NOT_PROVIDED):
            fault = "the version before writes rows without it: null=True or db_default"
    elif isinstance(operation, migrations.AlterField):
        before = state.models[migration.app_label, operation.model_name_lower].fields[operation.name]
        if before.null and not operation.field.null:
            fault = "the version before writes null"
        elif before.get_internal_type() != operation.field.get_internal_type():
            fault = "the table is written anew, and the version before expects the old type"
    elif isinstance(operation, migrations.AddIndex) and not isinstance(operation, AddIndexConcurrently):
        fault = "nothing is written while the index is made: AddIndexConcurrently"
    elif isinstance(operation, migrations.AddConstraint):
        fault = "the table is locked while rows are checked: AddConstraintNotValid, then ValidateConstraint"
    return fault


def test_the_version_before_lives_with_each_migration():
    loader = MigrationLoader(None, ignore_no_migrations=True)
    faults = {}
    for (app, name), migration in loader.disk_migrations.items():
        if app in BEFORE and int(name[:4]) > BEFORE[app]:
            state = loader.project_state((app, name), at_end=False)
            faults[app, name] = list(find_faults(migration, state))
    assert {name: found for name, found in faults.items() if found} == {}


@pytest.mark.django_db
def test_tables_are_as_their_models_say():
    """Migrations in SQL, such as that of the partitions, are not compared by Django."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, is_nullable = 'YES', column_default IS NOT NULL"
            " FROM information_schema.columns WHERE table_schema = 'public'"
        )
        found = {(table, column): (null, default) for table, column, null, default in cursor.fetchall()}
    faults = []
    for model in apps.get_models():
        for field in model._meta.local_concrete_fields if model._meta.managed else ():
            null, default = found[model._meta.db_table, field.column]
            if null != field.null:
                faults.append(f"{field}: null")
            if field.has_db_default() and not default:
                faults.append(f"{field}: no default")
    assert faults == []


def make_migration(*operations: Operation, **attributes: str) -> migrations.Migration:
    made = type("Migration", (migrations.Migration,), {"operations": list(operations), **attributes})
    return made("0100_made", "tenants")


@pytest.fixture
def state() -> ProjectState:
    """A model `Plan` with `name`, which may be null."""
    state = ProjectState()
    fields = [("id", models.BigAutoField(primary_key=True)), ("name", models.TextField(null=True))]
    migrations.CreateModel("Plan", fields).state_forwards("tenants", state)
    return state


INDEX = models.Index(fields=["name"], name="by_name")
CHECK = models.CheckConstraint(condition=models.Q(name__gt=""), name="has_name")


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        (migrations.RemoveField("plan", "name"), "unused_since"),
        (migrations.RenameField("plan", "name", "title"), "unused_since"),
        (migrations.DeleteModel("Plan"), "unused_since"),
        (migrations.AddField("plan", "rank", models.IntegerField(default=0)), "db_default"),
        (migrations.AlterField("plan", "name", models.TextField()), "writes null"),
        (migrations.AlterField("plan", "name", models.IntegerField(null=True)), "old type"),
        (migrations.AddIndex("plan", INDEX), "AddIndexConcurrently"),
        (migrations.AddConstraint("plan", CHECK), "AddConstraintNotValid"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_version_before_could_not_live_with_is_found(state, operation, fault):
    [found] = find_faults(make_migration(operation), state)
    assert fault in found


def test_schema_and_data_in_one_migration_are_found(state):
    added = migrations.AddField("plan", "rank", models.IntegerField(null=True))
    [found] = find_faults(make_migration(added, migrations.RunSQL("SELECT 1")), state)
    assert "schema and data" in found


@pytest.mark.parametrize(
    "operations",
    [
        [migrations.AddField("plan", "rank", models.IntegerField(null=True))],
        [migrations.AddField("plan", "rank", models.IntegerField(db_default=0))],
        [AddIndexConcurrently("plan", INDEX)],
        [migrations.AlterField("plan", "name", models.TextField(null=True, verbose_name="name"))],
        [migrations.RunSQL("SELECT 1")],
        [
            migrations.CreateModel("Note", [("id", models.BigAutoField(primary_key=True))]),
            migrations.AddIndex("note", models.Index(fields=["id"], name="by_id")),
        ],
    ],
    ids=lambda operations: type(operations[0]).__name__,
)
def test_what_it_lives_with_is_not_found(state, operations):
    assert list(find_faults(make_migration(*operations), state)) == []


def test_what_is_unused_may_go(state):
    migration = make_migration(migrations.RemoveField("plan", "name"), unused_since="0.9")
    assert list(find_faults(migration, state)) == []
