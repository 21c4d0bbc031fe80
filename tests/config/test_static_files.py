"""That an image's static files go out compressed: what `collectstatic` made is what is served."""

import os
import subprocess
import sys

from stack.folders import ROOT

ASK = """
import django
from django.conf import settings
from pathlib import Path
settings.STATIC_ROOT = Path({root!r})
django.setup()
from django.core.management import call_command
call_command("collectstatic", "--no-input", "-v", "0")
settings.WHITENOISE_USE_FINDERS = False  # as where the folder was there at the start
from django.test import RequestFactory
from config.static_files import StaticFilesMiddleware
middleware = StaticFilesMiddleware(lambda request: None)
for encoding in ("br", "gzip", ""):
    answer = middleware(RequestFactory().get("/static/css/shell.css", HTTP_ACCEPT_ENCODING=encoding))
    print(answer.get("content-encoding", "none"), answer.status_code, answer["vary"])
"""


def test_collected_files_are_served_compressed(tmp_path):
    code = ASK.format(root=str(tmp_path / "static"))
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )

    expected = [f"{encoding} 200 Accept-Encoding" for encoding in ("br", "gzip", "none")]
    assert done.stdout.splitlines() == expected, done.stderr
