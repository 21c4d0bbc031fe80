"""Migrations of both floors: each runs before whatever renames what it reads."""

from django.db.migrations.loader import MigrationLoader


def test_the_floor_below_alone_brings_what_has_to_run_before_its_own_renames():
    graph = MigrationLoader(None).graph
    plan = graph.forwards_plan(("tenants", "0032_plans_by_arrangement"))
    reads_it = ("adapters", "0006_stored_bytes_and_approvals")
    renames_it = ("tenants", "0013_generation_and_first_party")
    assert plan.index(reads_it) < plan.index(renames_it)
