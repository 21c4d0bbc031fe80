"""Every command of ours either changes nothing or writes the audit log, with itself as the actor."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command, get_commands, load_command_class
from django.urls import reverse

from accounts.workspaces import first_party_tenant
from adapters.models import BaseModel, Style
from adapters.placement import engine_actions
from core import months
from operations import seeding
from operations.backup import Manifest
from operations.management.commands import backup, restore
from tenants.audit import record_command
from tenants.models import AuditEntry

OURS = {"operations", "tenants", "accounts", "metering", "adapters", "inference", "billing"}
COMMANDS = {name: load_command_class(app, name) for name, app in get_commands().items() if app in OURS}
# What each command declares: the action of its entry in the log, None if it changes nothing.
ACTIONS = {name: getattr(command, "audit_action", "undeclared") for name, command in COMMANDS.items()}
AUDITED = [name for name, action in ACTIONS.items() if action]
MANIFEST = Manifest("2026-11-26T12:00:00Z", [], "", objects=3, objects_sha256="")


def run(*words: object) -> None:
    call_command(*words, stdout=StringIO())


def back_up(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setattr(backup, "write_backup", lambda folder, say: MANIFEST)
    run("backup", folder)


def restore_a_backup(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setattr(restore, "restore_backup", lambda folder, say: MANIFEST)
    run("restore", folder)


def publish(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Publish a style that was uploaded before; nothing is sent to an engine."""
    (folder / "noir").mkdir()
    (folder / "noir" / "style.json").write_text(json.dumps({"slug": "noir"}))
    (folder / "noir" / seeding.CONFIG_FILE).write_text("{}")
    (folder / "noir" / seeding.WEIGHTS_FILE).touch()
    model = BaseModel.objects.create(name="base", config={}, modules={})
    Style.objects.create(owner=first_party_tenant(), slug="noir", name="Noir", base_model=model)
    patch.setattr(seeding, "call_command", lambda *words, **options: None)
    patch.setattr(seeding, "_has_hope", lambda style: True)
    patch.setattr(seeding, "_await_serving", lambda style, within_s: None)
    run("publishstyles", "--styles", folder)


def register(patch: pytest.MonkeyPatch, folder: Path) -> None:
    model = BaseModel.objects.create(name="base", config={}, modules={})
    patch.setattr(engine_actions, "register_base", lambda folder, name: model)
    run("registerengine")


def seed(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setattr(seeding, "publish", lambda styles, say, **options: [])
    run("seed", "--styles", folder, "--secrets", folder / "demo.json")


type Run = Callable[[pytest.MonkeyPatch, Path], None]
RUNS: dict[str, Run] = {
    "backup": back_up,
    "publishstyles": publish,
    "rebuild_counters": lambda patch, folder: run("rebuild_counters", "acme"),
    "registerengine": register,
    "restore": restore_a_backup,
    "seal_secrets": lambda patch, folder: run("seal_secrets"),
    "seed": seed,
}


def test_every_command_declares_what_it_writes_into_the_log():
    assert [name for name, action in ACTIONS.items() if action == "undeclared"] == []


@pytest.mark.django_db
@pytest.mark.parametrize("name", AUDITED)
def test_a_command_that_changes_something_leaves_an_entry(name, acme, valkey, monkeypatch, tmp_path):
    RUNS[name](monkeypatch, tmp_path)
    [entry] = AuditEntry.objects.filter(action=ACTIONS[name])
    assert entry.reason.startswith(f"manage.py {name}")
    assert entry.actor is None


@pytest.mark.django_db
@pytest.mark.usefixtures("valkey")
def test_what_a_command_writes_down_is_of_a_workspace_or_of_the_service(operator_client, acme, charlies):
    run("rebuild_counters", "acme")
    run("seal_secrets")
    record_command("seal_secrets", action="secrets.sealed", after={"webhook_endpoints": 3})
    rebuilt, sealed, told = AuditEntry.objects.order_by("pk")
    assert rebuilt.object_id == str(acme.pk)
    assert rebuilt.after["periods"][1] == months.current()
    assert sealed.after == {"webhook_endpoints": 0, "second_factors": 0}
    for entry in (sealed, told):
        assert (entry.object_type, entry.object_name) == ("service", "the service")
    shown = operator_client.get(reverse("admin:tenants_auditentry_changelist")).text
    assert "manage.py rebuild_counters" in shown
    page = reverse("admin:tenants_auditentry_change", args=[told.pk])
    assert "manage.py seal_secrets" in operator_client.get(page).text
