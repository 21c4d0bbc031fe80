"""Scripts of engine/ find their neighbours, and vLLM's processes our extensions, by these folders."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ENGINE = HERE.parents[1] / "engine"
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
sys.path += [str(ENGINE), str(ENGINE / "extensions")]

import libnuma  # noqa: E402 (it needs these folders)

from tests.engine.engine_python import ENGINE_PYTHON, Vllm, vllm_environment  # noqa: E402
from tests.engine.tiny_trainings import Trainer, write_sentences  # noqa: E402


@pytest.fixture(scope="module")
def trainer(tmp_path_factory) -> Iterator[Trainer]:
    folder = tmp_path_factory.mktemp("bases")
    (folder / "texts.txt").write_text(write_sentences(1, words=2000))
    with subprocess.Popen([ENGINE_PYTHON, HERE / "training_forks.py", folder], **PIPES) as process:
        assert process.stdout.readline() == "ready\n"
        yield Trainer(process, folder)
        process.kill()  # an orderly exit of PyTorch takes seconds


@pytest.fixture(scope="session")
def vllm_process(tmp_path_factory) -> Iterator[Vllm]:
    """A process that has imported vLLM, with our libnuma. Skips where vLLM is not installed."""
    if not ENGINE_PYTHON.exists():
        pytest.skip("vLLM is not installed here")
    folder = tmp_path_factory.mktemp("vllm")
    own = {"HOME": str(folder), "LD_LIBRARY_PATH": str(libnuma.write_library(folder)), "OMP_NUM_THREADS": "1"}
    environment = vllm_environment(**own)
    command = [ENGINE_PYTHON, HERE / "vllm_forks.py"]
    with subprocess.Popen(command, env=environment, **PIPES) as process:
        while process.stdout.readline() != "ready\n":  # vLLM may say something before
            assert process.poll() is None, "vLLM can't be imported"
        yield Vllm(process, folder)
        process.kill()
