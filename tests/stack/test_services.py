import io
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import boto3
import httpx2
import psycopg
import pytest
import redis
from botocore.exceptions import BotoCoreError, ClientError

from stack import seaweed, services
from stack.errors import AlreadyRunning, PortTaken
from stack.folders import ROOT, Folders
from stack.run import run
from stack.steps import Steps

ROW = "kept"


@contextmanager
def running(folders: Folders):
    with services.opened(folders, Steps(io.StringIO())) as stack:
        stack.waiting.all(services.start(stack))
        yield stack


@pytest.fixture
def folders(tmp_path):
    return Folders(tmp_path / "with a space" / "var")


def storage(stack):
    return seaweed.client(stack.addresses.storage, stack.credentials)


def write_everywhere(stack) -> None:
    with psycopg.connect(stack.variables["DATABASE_URL"]) as database:
        database.execute("CREATE TABLE note (text text)")
        database.execute("INSERT INTO note VALUES (%s)", [ROW])
    with redis.Redis.from_url(stack.variables["VALKEY_URL"]) as cache:
        cache.set("note", ROW)
    storage(stack).put_object(Bucket=seaweed.BUCKET, Key="note", Body=ROW.encode())


def read_everywhere(stack) -> list[str]:
    with psycopg.connect(stack.variables["DATABASE_URL"]) as database:
        row = database.execute("SELECT text FROM note").fetchone()
    with redis.Redis.from_url(stack.variables["VALKEY_URL"], decode_responses=True) as cache:
        value = cache.get("note")
    body = storage(stack).get_object(Bucket=seaweed.BUCKET, Key="note")["Body"].read().decode()
    return [row[0], value, body]


def test_data_survives_a_stop(folders):
    with running(folders) as stack:
        write_everywhere(stack)
        before = stack.addresses
    with running(folders) as stack:
        assert read_everywhere(stack) == [ROW] * 3
        # The site takes port 8000 whenever that is free; the services keep their ports.
        assert replace(stack.addresses, web=before.web) == before


def test_data_survives_the_kill_of_everything(folders):
    with running(folders) as stack:
        write_everywhere(stack)
        with redis.Redis.from_url(stack.variables["VALKEY_URL"]) as cache:
            cache.execute_command("WAITAOF", 1, 0, 10_000)  # else what is older than a second is kept
        for name in ("postgres", "valkey", "seaweed"):
            os.killpg(stack.supervisor.pid(name), signal.SIGKILL)
    with running(folders) as stack:
        assert read_everywhere(stack) == [ROW] * 3


def test_a_killed_service_comes_back_on_its_port(folders):
    with running(folders) as stack:
        write_everywhere(stack)
        pids = {name: stack.supervisor.pid(name) for name in ("postgres", "valkey", "seaweed")}
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 60
        while any(stack.supervisor.pid(name) == pid for name, pid in pids.items()):
            assert time.monotonic() < until
            stack.supervisor.revive()  # one call notices a death, a later one starts the service again
            time.sleep(0.05)
        while True:
            try:
                assert read_everywhere(stack) == [ROW] * 3
                break
            except (psycopg.OperationalError, redis.RedisError, BotoCoreError, ClientError):
                assert time.monotonic() < until
            stack.supervisor.revive()
            time.sleep(0.1)


def test_two_stacks_run_at_once(tmp_path):
    with running(Folders(tmp_path / "one")) as one, running(Folders(tmp_path / "two")) as two:
        write_everywhere(one)
        write_everywhere(two)
        assert not set(vars(one.seaweed_ports).values()) & set(vars(two.seaweed_ports).values())


def test_one_folder_runs_one_stack(folders):
    with running(folders), pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"), running(folders):
        pass


def test_the_bucket_is_private(folders):
    with running(folders) as stack:
        stranger = boto3.client(
            "s3",
            endpoint_url=stack.addresses.storage,
            region_name=seaweed.REGION,
            aws_access_key_id=stack.credentials.s3_access_key,
            aws_secret_access_key="wrong",
        )
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            stranger.list_objects_v2(Bucket=seaweed.BUCKET)
        assert httpx2.get(f"{stack.addresses.storage}/{seaweed.BUCKET}/note").status_code == 403


def test_only_the_sites_own_pages_may_upload(folders):
    with running(folders) as stack:
        form = storage(stack).generate_presigned_post(seaweed.BUCKET, "note")
        allowed = {
            origin: httpx2.post(
                form["url"], data=form["fields"], files={"file": b"text"}, headers={"Origin": origin}
            ).headers.get("Access-Control-Allow-Origin")
            for origin in (stack.addresses.site, "http://stranger.example")
        }

    assert allowed == {stack.addresses.site: stack.addresses.site, "http://stranger.example": None}


def test_no_password_is_in_the_process_list(folders):
    with running(folders) as stack:
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    secrets = vars(stack.credentials).values()

    assert not [secret for secret in secrets if secret in listed]


def test_a_taken_port_is_refused(folders, monkeypatch):
    with running(folders) as stack:
        monkeypatch.setenv("PORT", str(stack.addresses.s3))
        with (
            pytest.raises(PortTaken, match="choose another with PORT"),
            running(Folders(folders.var / "other")),
        ):
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
    assert left not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
