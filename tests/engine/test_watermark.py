"""The mark of a CPU engine is the one of vLLM's GPU engine: engine/extensions/polyscribe_watermark.py."""

import json
from pathlib import Path

DRAWS = Path(__file__).with_name("marked_draws.py")


def test_nothing_differs_from_vllm(vllm_process):
    assert json.loads(vllm_process.ask(DRAWS.read_text())) == {
        "draws": 0,  # hashing every candidate finds the same token
        "repeats": 0,  # a repeated context and the first four tokens are drawn without the mark
        "unmarked": 0,  # unmarked and greedy rows are drawn by vLLM, with their seeds
        "starts": 0,  # a runner with tokens on their way is refused
    }
