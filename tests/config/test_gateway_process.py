"""`uvicorn config.gateway:application`: the API by itself, without the site's pages."""

import json
import subprocess
import sys

from stack.folders import ROOT

# Each of them takes megabytes of every gateway process, which uses none.
NOT_LOADED = (
    "adapters.catalog",
    "adapters.uploads",
    "allauth",
    "boto3",
    "celery",
    "cryptography.fernet",
    "django.contrib.admin",
    "drf_spectacular",
    "inference.mcp",
    "mcp",
    "numpy",
    "rest_framework",
    "stripe",
    "events.webhooks",
    "typst",
)


PROGRAM = f"""
import json, sys
import config.gateway
from adapters.enqueue import PLAN, _sender, enqueue
from core.queues import queue_of

loaded = [name for name in {NOT_LOADED} if name in sys.modules]
sender = _sender()
enqueue(PLAN)
channel = sender.connection_for_read().default_channel
enqueued = channel.queue_purge(queue_of(PLAN))
print(json.dumps([loaded, enqueued]))
"""


def test_a_gateway_process_loads_nothing_of_pages_management_and_uploads_and_enqueues_a_plan():
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    loaded, enqueued = json.loads(done.stdout)
    assert loaded == []
    assert enqueued > 0
