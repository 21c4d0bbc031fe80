"""Scripts of engine/ find their neighbours, and vLLM's processes our extensions, by these folders."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ENGINE = Path(__file__).resolve().parents[2] / "engine"
FORKS = Path(__file__).with_name("training_forks.py")
sys.path += [str(ENGINE), str(ENGINE / "extensions")]

from tests.engine.engine_python import ENGINE_PYTHON  # noqa: E402 (it needs these folders)
from tests.engine.tiny_trainings import Trainer, write_sentences  # noqa: E402


@pytest.fixture(scope="module")
def trainer(tmp_path_factory) -> Iterator[Trainer]:
    folder = tmp_path_factory.mktemp("bases")
    (folder / "texts.txt").write_text(write_sentences(1, words=2000))
    command = [str(ENGINE_PYTHON), str(FORKS), str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        yield Trainer(process, folder)
        process.stdin.close()
