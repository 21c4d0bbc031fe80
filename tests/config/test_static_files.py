"""That an image's static files go out compressed: what `collectstatic` made is what is served."""

import os
import subprocess
import sys
from pathlib import Path

from stack.folders import ROOT

COLLECT = "from django.core.management import call_command; call_command('collectstatic', '-v', '0')"
ASK = """
from django.test import RequestFactory
from config.static_files import StaticFilesMiddleware
middleware = StaticFilesMiddleware(lambda request: None)
for encoding in ("br", "gzip", ""):
    answer = middleware(RequestFactory().get("/static/css/shell.css", HTTP_ACCEPT_ENCODING=encoding))
    print(answer.get("content-encoding", "none"), answer.status_code, answer["vary"])
"""


def run_in(project: Path, code: str) -> str:
    """Return what code prints where the project's files lie in another folder."""
    begin = "import core.project_root, pathlib\n"
    begin += f"core.project_root.PROJECT_ROOT = pathlib.Path({str(project)!r})\n"
    begin += "import django\ndjango.setup()\n"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    command = [sys.executable, "-c", begin + code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_collected_files_are_served_compressed(tmp_path):
    for name in ("static", "templates", "locale", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    run_in(tmp_path, COLLECT)

    assert run_in(tmp_path, ASK).splitlines() == [
        f"{encoding} 200 Accept-Encoding" for encoding in ("br", "gzip", "none")
    ]
