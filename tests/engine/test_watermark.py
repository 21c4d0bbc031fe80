"""The mark of a CPU engine is the one of vLLM's GPU engine: engine/extensions/polyscribe_watermark.py."""

import json
from pathlib import Path

import pytest

from tests.engine.engine_python import needs_vllm, run_as_vllm

SCRIPT = Path(__file__).with_name("marked_draws.py")


@pytest.fixture(scope="module")
def differences(tmp_path_factory) -> dict[str, int]:
    return json.loads(run_as_vllm(SCRIPT.read_text(), home=tmp_path_factory.mktemp("home")))


@needs_vllm
@pytest.mark.parametrize(
    "of",
    [
        pytest.param("draws", id="hashing every candidate finds the same token"),
        pytest.param("repeats", id="a repeated context and the first four tokens are drawn without the mark"),
        pytest.param("unmarked", id="unmarked and greedy rows are drawn by vLLM, with their seeds"),
        pytest.param("starts", id="a runner with tokens on their way is refused"),
    ],
)
def test_nothing_differs_from_vllm(differences, of):
    assert differences[of] == 0
