import os
import signal
import subprocess
import sys
from dataclasses import replace

import httpx2
import psycopg
import pytest
import redis
from botocore.exceptions import BotoCoreError, ClientError

from stack import seaweed
from stack.errors import AlreadyRunning, PortTaken
from stack.folders import ROOT, Folders
from stack.run import run
from tests.stack.servers import running, storage_of
from tests.waiting import eventually, retry

ROW = "kept"
SERVICES = ("postgres", "valkey", "seaweed")


@pytest.fixture
def folders(tmp_path):
    return Folders(tmp_path / "with a space" / "var")


def write_everywhere(stack) -> None:
    with psycopg.connect(stack.variables["DATABASE_URL"]) as database:
        database.execute("CREATE TABLE note (text text)")
        database.execute("INSERT INTO note VALUES (%s)", [ROW])
    with redis.Redis.from_url(stack.variables["VALKEY_URL"]) as cache:
        cache.set("note", ROW)
    storage_of(stack).put_object(Bucket=seaweed.BUCKET, Key="note", Body=ROW.encode())


def read_everywhere(stack) -> list[str]:
    with psycopg.connect(stack.variables["DATABASE_URL"]) as database:
        row = database.execute("SELECT text FROM note").fetchone()
    with redis.Redis.from_url(stack.variables["VALKEY_URL"], decode_responses=True) as cache:
        value = cache.get("note")
    body = storage_of(stack).get_object(Bucket=seaweed.BUCKET, Key="note")["Body"].read().decode()
    return [row[0], value, body]


def list_processes() -> str:
    """Return every process's command line, whole: pytest sets COLUMNS to 80."""
    return subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True).stdout


def test_data_survives_a_stop_the_kill_of_each_service_and_the_kill_of_everything(folders):
    with running(folders) as stack:
        write_everywhere(stack)
        before = stack.addresses
        with redis.Redis.from_url(stack.variables["VALKEY_URL"]) as cache:
            cache.execute_command("WAITAOF", 1, 0, 60_000)  # else what is older than a second is kept
    with running(folders) as stack:
        assert read_everywhere(stack) == [ROW] * 3
        # The site takes port 8000 whenever that is free; the services keep their ports.
        assert replace(stack.addresses, web=before.web) == before
        pids = {name: stack.supervisor.pid(name) for name in SERVICES}
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)

        def are_all_started_again() -> bool:
            stack.supervisor.revive()  # one call notices a death, a later one starts the service again
            return all(stack.supervisor.pid(name) != pid for name, pid in pids.items())

        eventually(are_all_started_again)
        away = (psycopg.OperationalError, redis.RedisError, BotoCoreError, ClientError)
        assert retry(lambda: read_everywhere(stack), *away, within_s=60) == [ROW] * 3
        for name in SERVICES:
            os.killpg(stack.supervisor.pid(name), signal.SIGKILL)
    with running(folders) as stack:
        assert read_everywhere(stack) == [ROW] * 3


def test_two_stacks_run_at_once(stack, folders):
    with running(folders) as other:
        assert not stack.seaweed_ports.all() & other.seaweed_ports.all()
        write_everywhere(other)
        assert read_everywhere(other) == [ROW] * 3
        assert storage_of(stack).head_bucket(Bucket=seaweed.BUCKET)


def test_one_folder_runs_one_stack(stack):
    with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"), running(stack.folders):
        pass


def test_the_bucket_is_private(stack):
    credentials = replace(stack.credentials, s3_secret_key="wrong")
    stranger = seaweed.client(stack.addresses.storage, credentials)
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.list_objects_v2(Bucket=seaweed.BUCKET)
    assert httpx2.get(f"{stack.addresses.storage}/{seaweed.BUCKET}/note").status_code == 403


def test_only_the_sites_own_pages_may_upload(stack):
    form = storage_of(stack).generate_presigned_post(seaweed.BUCKET, "note")
    for origin, allowed in ((stack.addresses.site, stack.addresses.site), ("http://stranger.example", None)):
        files = {"file": b"text"}
        answer = httpx2.post(form["url"], data=form["fields"], files=files, headers={"Origin": origin})
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed


def test_no_password_is_in_the_process_list(stack):
    listed = list_processes()

    assert str(stack.folders.var) in listed
    assert not [secret for secret in vars(stack.credentials).values() if secret in listed]


def test_a_taken_port_is_refused(stack, folders, monkeypatch):
    monkeypatch.setenv("PORT", str(stack.addresses.s3))
    with pytest.raises(PortTaken, match="choose another with PORT"), running(folders):
        pass


def test_run_gives_the_command_its_addresses_and_returns_its_exit_code(capfd):
    code = (
        "import os, sys; print(os.environ['DATABASE_URL'].split(':')[0]); "
        "print(os.path.dirname(os.environ['DEMO_SECRETS_FILE'])); sys.exit(7)"
    )

    assert run(["--", sys.executable, "-c", code], whole=False, var=None) == 7
    scheme, var = capfd.readouterr().out.split()
    assert scheme == "postgres"
    assert not os.path.exists(var)


def test_the_next_run_removes_what_a_killed_run_left():
    command = [sys.executable, "-m", "stack", "run", "--services", "--", "echo", "up"]
    sleeping = [*command[:-2], "sh", "-c", "echo $DEMO_SECRETS_FILE; exec sleep 60"]
    process = subprocess.Popen(
        sleeping, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    left = os.path.dirname(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    assert os.path.isdir(left)

    assert subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0

    assert not os.path.exists(left)
    assert left not in list_processes()
