"""`uvicorn config.gateway:application`: the API by itself, without the site's pages."""

import subprocess
import sys

from stack.folders import ROOT


def test_a_gateway_process_starts_without_the_apps_of_pages():
    code = "import config.gateway; from django.apps import apps; print(apps.is_installed('allauth.account'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("False\n", 0), done.stderr[-2000:]
