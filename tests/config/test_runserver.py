import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from django.conf import settings

from stack.ports import Ports


@pytest.fixture
def site(tmp_path):
    """The address of `manage.py runserver`."""
    ports = Ports()
    port = ports.take("site")  # no stack beside this one takes it meanwhile
    command = [sys.executable, "manage.py", "runserver", str(port), "--noreload"]
    with (tmp_path / "log").open("w") as log:
        running = subprocess.Popen(
            command, cwd=settings.BASE_DIR, env=os.environ, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            address = f"http://127.0.0.1:{port}"
            until_s = time.monotonic() + 120
            while time.monotonic() < until_s and running.poll() is None:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
                    break
                time.sleep(0.2)
            yield address
        finally:
            running.terminate()
            running.wait(30)
            ports.release()


def test_runserver_serves_the_api_and_the_pages(site):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{site}/v1/models", timeout=30)
    assert refused.value.code == 401
    assert json.load(refused.value)["error"]["code"] == "invalid_api_key"
    with urllib.request.urlopen(f"{site}/accounts/login/", timeout=30) as page:
        assert b"<form" in page.read()
