"""`uvicorn config.gateway:application`: the API by itself, without the site's pages."""

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
    "tenants.webhooks",
    "typst",
)


def run_in_gateway(code: str) -> str:
    """Return what a fresh process prints that has loaded the gateway."""
    done = subprocess.run(
        [sys.executable, "-c", f"import config.gateway, sys; {code}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_gateway_process_loads_nothing_of_pages_management_and_uploads() -> None:
    assert run_in_gateway(f"print([name for name in {NOT_LOADED} if name in sys.modules])") == "[]\n"


def test_a_gateway_process_enqueues_a_plan_for_a_style_without_a_place() -> None:
    enqueued = run_in_gateway(
        "from adapters.enqueue import PLAN, _sender, enqueue; sender = _sender(); enqueue(PLAN);"
        "queue = sender.conf.task_routes[PLAN]['queue'];"
        "channel = sender.connection_for_read().default_channel;"
        "print(channel.queue_purge(queue) > 0)"
    )
    assert enqueued == "True\n"
