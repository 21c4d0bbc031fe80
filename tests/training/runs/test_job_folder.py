"""A training's folder goes with its worker, also one that was killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from training.runs import child as folders

WORKER = """
import sys, time
sys.path[:0] = sys.argv[1:]
import django
django.setup()
from training.runs.child import job_folder
with job_folder() as folder:
    (folder / "learn.jsonl").write_text("a writer's words")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def worker(tmp_path: Path, monkeypatch):
    """A worker with a folder of its own, which was made a while ago."""
    monkeypatch.setattr(folders.tempfile, "tempdir", str(tmp_path))
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", WORKER, str(root), str(root / "platform")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(tmp_path)}
    )
    assert process.stdout
    folder = Path(process.stdout.readline().strip())
    os.utime(folder, (time.time() - 3600,) * 2)
    yield process, folder
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_folder_of_a_living_worker_stays_and_that_of_a_killed_one_goes(worker):
    process, folder = worker
    with folders.job_folder() as own:
        assert own.is_dir()
        assert (folder / "learn.jsonl").exists()
    assert not own.exists()
    process.send_signal(signal.SIGKILL)
    process.wait()
    with folders.job_folder():
        assert not folder.exists()


def test_a_folder_that_was_just_made_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(folders.tempfile, "tempdir", str(tmp_path))
    young = tmp_path / f"{folders.PREFIX}young"
    young.mkdir()
    with folders.job_folder():
        assert young.exists()
