"""`manage.py backup` and `restore`: an installation comes back as it was between two requests."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
import redis
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.conf import settings
from django.db import connection
from psycopg import sql

from adapters import object_store
from adapters.object_store.client import internal_client
from core import months
from core import valkey as names
from inference.contract.route import Provenance
from inference.public import drain_usage
from metering.models import UsageEvent
from operations import backup
from operations import backup as manifests
from operations.backup import (
    Damaged,
    FolderNotEmpty,
    ForeignBackup,
    NoBackup,
    NotEmpty,
    ProgramFailed,
    restore_backup,
    write_backup,
)
from stack import template_database
from stack.folders import ROOT
from tenants.audit import record_audit
from tenants.models import AuditEntry, CachedAnswer
from tests.tenants.builders import issue_key

pytestmark = pytest.mark.django_db(transaction=True)
SCRATCH_DATABASE = 11  # of Valkey: nothing else uses it


@dataclass(frozen=True)
class Elsewhere:
    """An empty installation beside this one: a database, a bucket and a Valkey of its own."""

    backup: str
    store: redis.Redis
    variables: dict[str, str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **self.variables}
        command = [sys.executable, *words]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.variables["DATABASE_URL"], autocommit=True)

    def read(self, query: str) -> list[tuple]:
        with self.connect() as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def elsewhere(valkey) -> Iterator[Elsewhere]:
    name = f"restored_{uuid4().hex[:8]}"
    url = os.environ["DATABASE_URL"]
    store = redis.Redis.from_url(_in_database(settings.VALKEY_URL), decode_responses=True, protocol=2)
    store.flushdb()
    client = internal_client()
    client.create_bucket(Bucket=name.replace("_", "-"))
    variables = {
        "DATABASE_URL": f"{url.rpartition('/')[0]}/{name}",
        "VALKEY_URL": _in_database(settings.VALKEY_URL),
        "S3_BUCKET": name.replace("_", "-"),
    }
    # Compose migrates a new installation before anybody can restore.
    template = os.environ.get(template_database.VARIABLE, "template1")
    with psycopg.connect(url, autocommit=True) as connection:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield Elsewhere(name, store, variables)
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        store.flushdb()
        store.close()
        for found in client.list_objects_v2(Bucket=variables["S3_BUCKET"]).get("Contents", []):
            client.delete_object(Bucket=variables["S3_BUCKET"], Key=found["Key"])
        client.delete_bucket(Bucket=variables["S3_BUCKET"])


def _in_database(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"{url.partition('?')[0]}?db={SCRATCH_DATABASE}"
    return parts._replace(path=f"/{SCRATCH_DATABASE}").geturl()


@pytest.fixture
def write(valkey, acme):
    """Write a request's usage event as a gateway does; return the request's id."""
    key, _ = issue_key(acme, name="key", by=None)

    def write(tokens: int) -> str:
        request_id = f"req_{uuid4().hex}"
        valkey.xadd(
            names.usage_key(),
            {
                "request": request_id,
                "tenant": str(acme.pk),
                "key": str(key.pk),
                "period": months.current(),
                "admitted_ms": int(time.time() * 1000),
                "engine": "engine-1",
                "prices": "100 25 400",
                "route": json.dumps(Provenance(name="base", base_model="SmolLM2")._asdict()),
                "prompt": tokens,
                "cached": 0,
                "completion": 1,
                "cost": 100 * tokens + 400,
                "finish": "stop",
                "outcome": "complete",
            },
        )
        return request_id

    return write


# What operators do after a restore, and a second one.
AFTERWARDS = """
import sys
import django
django.setup()
from django.core.management import call_command
call_command("rebuild_counters")
call_command("reconcile")
call_command("migrate", "--check")
print("in order")
call_command("restore", sys.argv[1])
"""


def test_an_installation_comes_back_as_it_was_between_two_requests(elsewhere, valkey, acme, write, tmp_path):
    version_id = uuid4()
    object_store.write(version_id, "adapter_config.json", [b'{"r": 8}'])
    record_audit(None, action="style.created", row=acme, reason="for\ta \\ backup\n", tenant=acme)
    first = write(tokens=7)
    folder = tmp_path / "backup"
    write_backup(folder, lambda _: None)
    second = write(tokens=11)
    drain_usage(valkey, "test")
    assert set(UsageEvent.objects.values_list("request_id", flat=True)) == {first, second}
    if template_database.VARIABLE not in os.environ:
        assert elsewhere.run("manage.py", "migrate").returncode == 0

    restored = elsewhere.run("manage.py", "restore", str(folder))

    assert restored.returncode == 0, restored.stderr[-3000:]
    assert elsewhere.read("SELECT request_id, prompt_tokens FROM metering_usageevent") == [(first, 7)]
    assert elsewhere.read("SELECT sum(tokens)::int FROM metering_ledgerentry") == [(8,)]
    entry = AuditEntry.objects.get(action="style.created")
    assert elsewhere.read(
        f"SELECT reason, reason = {sql.Literal(entry.reason).as_string()} FROM tenants_auditentry"
        " WHERE action = 'style.created'"
    ) == [(entry.reason, True)]
    key = object_store.sealed_key(version_id, "adapter_config.json")
    body = internal_client().get_object(Bucket=elsewhere.variables["S3_BUCKET"], Key=key)["Body"]
    assert body.read() == b'{"r": 8}'
    # Counters come from the ledger, and agree with it.
    afterwards = elsewhere.run("-c", AFTERWARDS, str(folder))
    assert "in order" in afterwards.stdout, afterwards.stderr[-3000:]
    assert elsewhere.store.hget(names.account_key(acme.pk, months.current()), "used") == "8"
    # It is not empty now.
    assert afterwards.returncode == 1
    assert "is not empty" in afterwards.stderr
    # What protects the books protects them again, and sequences go on behind their last number.
    with elsewhere.connect() as connection:
        with pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute("UPDATE tenants_auditentry SET reason = 'forged'")
        [(drawn,)] = connection.execute("SELECT nextval('tenants_auditentry_id_seq')").fetchall()
    assert drawn > entry.pk


@pytest.fixture(scope="module")
def written(django_db_setup, django_db_blocker, tmp_path_factory) -> Path:
    """A backup of an installation that nobody has used, written once."""
    folder = tmp_path_factory.mktemp("written") / "backup"
    with django_db_blocker.unblock():
        write_backup(folder, lambda _: None)
        connection.close()
    return folder


@pytest.fixture
def folder(written, tmp_path) -> Path:
    """A backup that a test may spoil."""
    return shutil.copytree(written, tmp_path / "backup")


def test_a_used_installation_is_never_overwritten(acme, valkey, folder):
    before = acme.name
    with pytest.raises(NotEmpty):
        restore_backup(folder, lambda _: None)
    acme.refresh_from_db()
    assert acme.name == before


def test_a_backup_that_is_damaged_or_not_whole_is_not_restored(folder):
    manifests.verify(folder, manifests.read_manifest(folder))
    file = folder / manifests.DATABASE
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(content)
    with pytest.raises(Damaged):
        manifests.verify(folder, manifests.read_manifest(folder))
    (folder / manifests.NAME).unlink()
    with pytest.raises(NoBackup):
        restore_backup(folder, lambda _: None)


def test_nobody_else_reads_its_files_whatever_the_folder_and_the_umask(acme, valkey, tmp_path):
    object_store.write(uuid4(), "adapter_config.json", [b"{}"])
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    before = os.umask(0)
    try:
        write_backup(folder, lambda _: None)
    finally:
        os.umask(before)
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {file.name for file in files} >= {
        "database.dump",
        "objects.jsonl",
        "manifest.json",
        "manifest.seal",
    }
    assert len(files) > 4
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    below = [each for each in folder.rglob("*") if each.is_dir()]
    assert {each.stat().st_mode & 0o777 for each in below} == {0o700}
    with pytest.raises(FolderNotEmpty):  # a backup has a folder of its own
        write_backup(folder, lambda _: None)


def test_a_backup_opens_no_session_and_repeats_no_kept_answer(client, alice, acme, valkey, tmp_path):
    client.force_login(alice)
    session = client.session
    UserSession.objects.create(user=alice, ip="192.0.2.1", user_agent="test", session_key=session.session_key)
    CachedAnswer.objects.create(
        tenant=acme,
        caller="key",
        name_digest=b"n",
        request_digest=b"r",
        status=200,
        body=b'{"secret": "sk-ps-1"}',
    )
    folder = tmp_path / "backup"
    write_backup(folder, lambda _: None)
    with (tmp_path / "dump.sql").open("xb") as out:
        command = [backup.BINARIES / "pg_restore", "--file=-", folder / manifests.DATABASE]
        subprocess.run(command, stdout=out, check=True)
    written = (tmp_path / "dump.sql").read_bytes()
    assert alice.email.encode() in written
    assert session.session_key.encode() not in written
    assert b"sk-ps-1" not in written


# How each column that sounds like a secret is safe in a backup. A new one needs a line here, or its table
# one in SECRET_TABLES.
SAFE_COLUMNS = {
    "tenants_apikey.digest": "HMAC under API_KEY_PEPPERS",
    "operations_failedtask.digest": "hash of the arguments",
    "operations_failedtask.kwargs": "secrets are masked before they are stored",
    "operations_failedtask.args": "secrets are masked before they are stored",
    "tenants_user.password": "password hash",
    "events_webhookdelivery.answer": "what a customer's endpoint answered, 2 KB",
    "events_webhookendpoint.sealed_secret": "encrypted under API_KEY_PEPPERS",
    "events_webhookendpoint.sealed_previous_secret": "encrypted under API_KEY_PEPPERS",
    "mfa_authenticator.data": "encrypted under API_KEY_PEPPERS",
}
SOUNDS_SECRET = re.compile(r"key$|secret$|token$|password|digest|cookie|^data$|^body|^answer$|args$")


def test_every_column_that_sounds_like_a_secret_is_left_out_or_known_to_be_safe():
    suspects = {
        f"{model._meta.db_table}.{field.column}"
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.local_concrete_fields
        if model._meta.db_table not in backup.SECRET_TABLES
        and not field.is_relation
        and SOUNDS_SECRET.search(field.column)
    }
    assert suspects == set(SAFE_COLUMNS)


FORGERIES = {
    "another dump's hash": lambda manifest: manifest.update(database_sha256="0" * 64),
    "a migration fewer": lambda manifest: manifest["migrations"].pop(),
    "another format": lambda manifest: manifest.update(format=2),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_changed_manifest_is_refused_before_any_of_its_sql_runs(forge, folder):
    file = folder / manifests.NAME
    manifest = json.loads(file.read_text())
    forge(manifest)
    file.write_text(json.dumps(manifest))
    with pytest.raises(ForeignBackup):
        restore_backup(folder, lambda _: None)


def test_a_backup_is_restored_with_the_peppers_of_its_day_only(folder, settings):
    settings.API_KEY_PEPPERS = {number: b"another" * 8 for number in settings.API_KEY_PEPPERS}
    with pytest.raises(ForeignBackup):
        manifests.read_manifest(folder)
    (folder / manifests.SEAL).unlink()
    with pytest.raises(ForeignBackup):
        manifests.read_manifest(folder)


def test_a_dump_that_fails_says_why_and_leaves_no_backup(acme, valkey, monkeypatch, tmp_path):
    monkeypatch.setattr(backup, "export_snapshot", lambda: "00000000-1")
    with pytest.raises(ProgramFailed, match=r"pg_dump failed: .*snapshot .* does not exist"):
        write_backup(tmp_path / "backup", lambda _: None)
    with pytest.raises(NoBackup):
        restore_backup(tmp_path / "backup", lambda _: None)
