"""What somebody without credentials reaches of SeaweedFS, whose parts talk on ports of their own."""

import os
import socket
import ssl
import stat
import subprocess
from contextlib import closing, suppress
from pathlib import Path

import httpx2
import pytest

from stack import seaweed, seaweed_tls
from tests.stack.servers import storage_of
from tests.waiting import eventually

SECRET = b"private weights"


@pytest.fixture(scope="module", autouse=True)
def weights(stack) -> None:
    storage_of(stack).put_object(Bucket=seaweed.BUCKET, Key="private", Body=SECRET)


@pytest.fixture
def inner_ports(stack) -> list[int]:
    """Every port that SeaweedFS listens on besides S3, as the kernel tells: a new version may open more."""
    expected = stack.seaweed_ports.all()
    pid = stack.supervisor.pid("seaweed")
    # Its admin server starts after S3.
    eventually(lambda: listening_ports(pid) >= expected, within_s=30, what="SeaweedFS lacks a port")
    return sorted(listening_ports(pid) - {stack.addresses.s3})


def listening_ports(pid: int) -> set[int]:
    own, ports = set(), set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            own.add(os.readlink(file))
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            is_listening = fields[3] == "0A"
            if is_listening and f"socket:[{fields[9]}]" in own:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


def tls_context(folder: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if folder:
        context.load_cert_chain(folder / seaweed_tls.CERTIFICATE, folder / seaweed_tls.KEY)
    return context


def first_bytes(port: int, context: ssl.SSLContext) -> bytes:
    """Return what a port sends to one who speaks HTTP/2 over TLS; gRPC greets, a refusal is an SSLError."""
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"))
        return connection.recv(1024)


def test_no_inner_port_answers_without_tls(inner_ports):
    paths = [
        "/",
        "/dir/status",
        "/dir/assign",
        f"/col/delete?collection={seaweed.BUCKET}",
        f"/buckets/{seaweed.BUCKET}/private",
        "/metrics",
    ]
    with closing(httpx2.Client(timeout=60)) as client:
        for port in inner_ports:
            for path in paths:
                try:
                    status = client.get(f"http://127.0.0.1:{port}{path}").status_code
                except httpx2.TransportError:
                    continue
                assert status == 400, f"port {port} answers {path} with {status}"  # "this is an HTTPS server"


def test_storage_itself_answers_nobody_without_a_signature(stack):
    bucket = f"/{seaweed.BUCKET}"
    object_ = f"{bucket}/private"
    actions = ("ListUsers", "CreateUser&UserName=stranger", "AssumeRole&RoleArn=x&RoleSessionName=x")
    asked = [("GET", "/"), ("GET", bucket), ("GET", f"{bucket}?policy"), ("GET", "/metrics")]
    asked += [(method, object_) for method in ("GET", "HEAD", "PUT", "DELETE")]
    asked += [("DELETE", bucket), ("POST", bucket), ("POST", f"{bucket}?delete")]
    asked += [("POST", f"/?Action={action}") for action in actions]
    with closing(httpx2.Client(base_url=stack.addresses.storage, timeout=60)) as client:
        for method, target in asked:
            answer = client.request(method, target, content=b"<Delete/>" if method == "POST" else None)
            assert 400 <= answer.status_code < 500, f"{method} {target} is answered {answer.status_code}"
            assert SECRET not in answer.content


def test_every_inner_port_demands_a_certificate(stack, inner_ports, tmp_path):
    """Also one as good as SeaweedFS's own, but of a stranger's authority, is refused."""
    seaweed_tls.ensure(tmp_path)
    own = tls_context(stack.folders.var / "seaweed" / ".seaweedfs")
    for port in inner_ports:
        for folder in (None, tmp_path):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                first_bytes(port, tls_context(folder))
        assert first_bytes(port, own)


def collections_in_weed_shell(stack, home: Path, *, within_s: float) -> str:
    """Return what SeaweedFS's own shell lists for somebody whose settings lie in `home`."""
    ports = stack.seaweed_ports
    where = [f"-{part}=127.0.0.1:{ports.http[part]}.{ports.grpc[part]}" for part in ("master", "filer")]
    done = subprocess.run(
        [str(seaweed.binary()), "shell", *where],
        input="collection.list\n",
        env={"HOME": str(home), "PATH": os.defpath},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=within_s,
    )
    return done.stdout + done.stderr


def test_only_its_owners_shell_is_let_in(stack, tmp_path):
    assert seaweed.BUCKET in collections_in_weed_shell(stack, stack.folders.var / "seaweed", within_s=60)
    with pytest.raises(subprocess.TimeoutExpired):  # it tries to get in until it is killed
        collections_in_weed_shell(stack, tmp_path, within_s=5)


def test_other_users_reach_neither_its_sockets_nor_its_files(stack):
    ports = stack.seaweed_ports.all()
    sockets = [
        file
        for file in Path("/tmp").glob("seaweedfs-*.sock")
        if any(f"-{port}." in file.name for port in ports)
    ]
    assert sockets

    assert [file for file in sockets if stat.S_IMODE(file.stat().st_mode) & 0o077] == []
    assert stat.S_IMODE((stack.folders.var / "seaweed").stat().st_mode) == 0o700


def test_the_object_is_still_there_after_all_that(stack):
    stored = storage_of(stack).get_object(Bucket=seaweed.BUCKET, Key="private")

    assert stored["Body"].read() == SECRET


def test_certificates_are_kept_until_they_near_their_end(tmp_path, monkeypatch):
    seaweed_tls.ensure(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    seaweed_tls.ensure(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before

    monkeypatch.setattr(seaweed_tls, "RENEWED_BEFORE_END", seaweed_tls.VALID_FOR)
    seaweed_tls.ensure(tmp_path)
    assert (tmp_path / seaweed_tls.CERTIFICATE).read_bytes() != before[seaweed_tls.CERTIFICATE]
