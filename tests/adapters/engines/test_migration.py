"""Migration 0008 gives engines a number as primary key: what referred to them by name still does."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

BEFORE, AFTER = ("adapters", "0007_turns_of_checks"), ("adapters", "0008_engine_id")


@pytest.fixture
def schema_of_its_own(django_db_blocker):
    """Yield a cursor of an empty schema: the test database's own tables stay as they are."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA engine_id")
        cursor.execute("SET search_path TO engine_id")
        yield cursor
        cursor.execute("SET search_path TO DEFAULT")
        cursor.execute("DROP SCHEMA engine_id CASCADE")


@pytest.mark.usefixtures("django_db_setup")
def test_placements_and_readings_stay_with_their_engines(schema_of_its_own):
    cursor = schema_of_its_own
    migrated = MigrationExecutor(connection)
    migrated.migrate([BEFORE])
    old = migrated.loader.project_state([BEFORE]).apps
    base = old.get_model("adapters.BaseModel").objects.create(name="base", config={}, modules={})
    limits = {"max_loras": 8, "max_cpu_loras": 64, "max_lora_rank": 16, "max_model_len": 2048}
    facts = {"base_model_id": base.pk, "device": "cpu", "url": "http://engine.example", **limits}
    tenant = old.get_model("tenants.Tenant").objects.create(name="Acme", slug="acme")
    style = old.get_model("adapters.Style").objects.create(owner=tenant, slug="noir", base_model=base)
    version = old.get_model("adapters.AdapterVersion").objects.create(style=style, number=1)
    for name in ("local", "second"):
        engine = old.get_model("adapters.Engine").objects.create(name=name, **facts)
        old.get_model("adapters.Placement").objects.create(engine=engine, version=version, loaded_as=name)
        old.get_model("adapters.BaseReading").objects.create(
            engine=engine, process_began_at="2026-01-01T00:00Z", answers=[], noise=0.0
        )

    migrated = MigrationExecutor(connection)
    migrated.migrate([AFTER])
    new = migrated.loader.project_state([AFTER]).apps

    placements = new.get_model("adapters.Placement").objects
    assert sorted(placements.values_list("engine__name", "loaded_as")) == [
        ("local", "local"),
        ("second",) * 2,
    ]
    readings = new.get_model("adapters.BaseReading").objects
    assert sorted(readings.values_list("engine__name", flat=True)) == ["local", "second"]
    third = new.get_model("adapters.Engine").objects.create(name="third", **facts)
    assert third.pk > max(placements.values_list("engine", flat=True))
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
