"""That an image's static files go out compressed: what `collectstatic` made is what is served."""

import os
import subprocess
import sys

from stack.folders import ROOT

# The files of packages go the same way: to compress all of them takes ten times as long.
OURS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
PROGRAM = f"""
import pathlib, sys
import core.project_root
core.project_root.PROJECT_ROOT = pathlib.Path(sys.argv[1])
import django
django.setup()
from django.core.management import call_command
from django.test import RequestFactory, override_settings
from config.static_files import StaticFilesMiddleware

with override_settings(STATICFILES_FINDERS={OURS}, WHITENOISE_USE_FINDERS=False):
    call_command("collectstatic", "-v", "0")
    middleware = StaticFilesMiddleware(lambda request: None)
    for encoding in ("br", "gzip", ""):
        answer = middleware(RequestFactory().get("/static/css/shell.css", HTTP_ACCEPT_ENCODING=encoding))
        print(answer.get("content-encoding", "none"), answer.status_code, answer["vary"])
"""


def test_collected_files_are_served_compressed(tmp_path):
    for name in ("static", "templates", "locale", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        f"{encoding} 200 Accept-Encoding" for encoding in ("br", "gzip", "none")
    ], done.stderr
