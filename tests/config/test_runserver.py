import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from django.conf import settings

from stack.ports import Ports
from tests.waiting import retry


@pytest.fixture
def site() -> Iterator[str]:
    """The address of `manage.py runserver`."""
    ports = Ports()
    port = ports.take("site")  # no stack beside this one takes it meanwhile
    command = [sys.executable, "manage.py", "runserver", str(port), "--noreload"]
    with subprocess.Popen(command, cwd=settings.BASE_DIR, env=os.environ) as running:
        try:
            retry(lambda: socket.create_connection(("127.0.0.1", port)).close(), OSError, within_s=120)
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()
    ports.release()


def test_runserver_serves_the_api_and_the_pages(site):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{site}/v1/models", timeout=120)
    assert refused.value.code == 401
    assert json.load(refused.value)["error"]["code"] == "invalid_api_key"
    with urllib.request.urlopen(f"{site}/accounts/login/", timeout=120) as page:
        assert b"<form" in page.read()
