"""What one worker of pytest-xdist has for itself: a Valkey, a bucket, a folder of adapters.

A server of its own and not a database of the common one: channels, FLUSHALL and the list of clients know no
databases. pytest-django gives each worker a database. pytest loads this module by PYTEST_PLUGINS (see
tests/conftest.py), before Django reads the environment.
"""

import os
from contextlib import ExitStack
from functools import partial

import pytest

from stack import seaweed, valkey
from stack.folders import Credentials, held, temporary
from stack.ports import Ports
from stack.processes import Supervisor

READY_WITHIN_S = 300.0
_services = ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        os.environ.update(start_services(worker))


def pytest_unconfigure() -> None:
    _services.close()


def start_services(worker: str) -> dict[str, str]:
    """Start this worker's services, which end with it; return the variables that lead to them."""
    credentials = Credentials(
        s3_access_key=os.environ["AWS_ACCESS_KEY_ID"], s3_secret_key=os.environ["AWS_SECRET_ACCESS_KEY"]
    )
    password = credentials.valkey_password
    folders = _services.enter_context(temporary())
    _services.enter_context(held(folders))
    ports = Ports()
    _services.callback(ports.release)
    supervisor = Supervisor(folders, print)
    _services.callback(supervisor.stop)
    port = ports.take("valkey")
    supervisor.start(valkey.program(folders, port, password))
    supervisor.await_ready("valkey", partial(valkey.ready, port, password), within_s=READY_WITHIN_S)
    bucket = f"{seaweed.BUCKET}-{worker}"
    storage = seaweed.client(os.environ["S3_ENDPOINT_URL"], credentials)
    if not seaweed.ready(storage, bucket):
        raise pytest.UsageError(f"The bucket {bucket} can't be made at {os.environ['S3_ENDPOINT_URL']}.")
    return {
        "VALKEY_URL": valkey.url(folders, port, password),
        "CELERY_BROKER_URL": f"redis://:{password}@127.0.0.1:{port}/1",
        "S3_BUCKET": bucket,
        "ENGINE_ADAPTERS_DIR": str(folders.adapters),
        # Who races for a row takes turns: where others use the machine, longer ones than the usual 5 s allow.
        "DATABASE_LOCK_TIMEOUT_S": "50",
    }
