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
    "django.contrib.admin",
    "drf_spectacular",
    "numpy",
    "rest_framework",
    "stripe",
    "tenants.webhooks",
    "typst",
)


def test_a_gateway_process_loads_nothing_of_pages_management_and_uploads() -> None:
    code = f"import config.gateway, sys; print([name for name in {NOT_LOADED} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr[-2000:]
