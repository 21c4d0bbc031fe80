"""Storage's keys are replaced as docs/running.md says: uploads go on all the while."""

import dataclasses
import subprocess
import threading

import httpx2
import pytest
from botocore.exceptions import ClientError

from stack import seaweed
from tests.documents import blocks
from tests.stack.servers import storage_of
from tests.waiting import eventually


def documented_command(**values: str) -> str:
    """Return what the document types into SeaweedFS's shell."""
    lines = [line for block in blocks("docs/running.md", language="sh") for line in block.commands()]
    [line] = [line for line in lines if "s3.configure" in line]
    command = line.split('"')[1]
    for name, value in values.items():
        assert name in command
        command = command.replace(name, value)
    return command


def weed_shell(stack, command: str) -> None:
    program = stack.supervisor.program("seaweed")
    ports = stack.seaweed_ports
    where = [f"-{part}=127.0.0.1:{ports.http[part]}.{ports.grpc[part]}" for part in ("master", "filer")]
    shell = [str(seaweed.binary()), "shell", *where]
    typed = f"{command}\nexit\n"
    subprocess.run(
        shell, input=typed, env=program.env, text=True, capture_output=True, check=True, timeout=60
    )


def test_a_second_pair_counts_beside_the_first_and_no_upload_fails_meanwhile(stack):
    first = storage_of(stack)
    pair = dataclasses.replace(stack.credentials, s3_access_key="AKNEW", s3_secret_key="new" * 8)
    second = seaweed.client(stack.addresses.storage, pair)
    form = first.generate_presigned_post(seaweed.BUCKET, "form")
    over, written, faults = threading.Event(), [], []

    def upload() -> None:
        while not over.is_set():
            try:
                first.put_object(Bucket=seaweed.BUCKET, Key="weights", Body=b"1")
                written.append(1)
            except ClientError as error:
                faults.append(error)

    def second_counts() -> bool:
        try:
            return bool(second.list_objects_v2(Bucket=seaweed.BUCKET))
        except ClientError:
            return False

    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        second.list_objects_v2(Bucket=seaweed.BUCKET)
    uploads = threading.Thread(target=upload)
    uploads.start()
    try:
        eventually(lambda: len(written) > 3)
        weed_shell(stack, documented_command(NEW_KEY="AKNEW", NEW_SECRET="new" * 8))
        eventually(second_counts)
        before = len(written)
        eventually(lambda: len(written) > before + 3)
    finally:
        over.set()
        uploads.join()

    assert faults == []
    second.put_object(Bucket=seaweed.BUCKET, Key="weights", Body=b"2")
    assert first.get_object(Bucket=seaweed.BUCKET, Key="weights")["Body"].read() == b"2"
    sent = httpx2.post(form["url"], data=form["fields"], files={"file": b"3"})
    assert sent.status_code == 204, "a form that the first pair signed is still taken"
