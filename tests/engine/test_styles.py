"""The shipped styles: enough texts, none of them leaked, and adapters as small as promised."""

import json
import re
import struct
from pathlib import Path

import pytest

STYLES = Path(__file__).resolve().parents[2] / "engine/styles"
MAX_BYTES = 5_000_000
RANK = 8

pytestmark = pytest.mark.parametrize("style", ["poetry", "legal", "genz"])


def rows(style: str, name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (STYLES / style / name).read_text(encoding="utf-8").splitlines()]


def header(style: str) -> dict[str, dict]:
    """Return the header of the adapter's safetensors file: 8 bytes of length, then JSON."""
    with (STYLES / style / "adapter_model.safetensors").open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        tensors = json.loads(file.read(length))
    tensors.pop("__metadata__", None)
    return tensors


@pytest.mark.parametrize(("name", "least"), [("examples.jsonl", 100), ("heldout.jsonl", 20)])
def test_there_are_enough_texts_and_each_is_a_prompt_and_a_response(style, name, least):
    texts = rows(style, name)
    assert len(texts) >= least
    assert all(set(text) == {"prompt", "response"} and all(text.values()) for text in texts)


def test_no_held_out_question_was_learned(style):
    learned = {text["prompt"].lower() for text in rows(style, "examples.jsonl")}
    assert not [text["prompt"] for text in rows(style, "heldout.jsonl") if text["prompt"].lower() in learned]


def test_no_text_is_there_twice(style):
    responses = [
        text["response"] for name in ("examples.jsonl", "heldout.jsonl") for text in rows(style, name)
    ]
    assert len(set(responses)) == len(responses)


def test_its_description_is_whole(style):
    described = json.loads((STYLES / style / "style.json").read_text(encoding="utf-8"))
    assert set(described) == {"slug", "name", "description", "sample_prompt", "sample"}
    assert described["slug"] == style
    assert all(described.values())


def test_the_adapter_is_small_and_every_matrix_is_bfloat16_of_the_rank(style):
    assert (STYLES / style / "adapter_model.safetensors").stat().st_size <= MAX_BYTES
    for name, tensor in header(style).items():
        assert tensor["dtype"] == "BF16", name
        assert tensor["shape"][0 if ".lora_A." in name else 1] == RANK, name


def test_the_config_names_the_base_and_no_machine(style):
    text = (STYLES / style / "adapter_config.json").read_text(encoding="utf-8")
    config = json.loads(text)
    assert config["base_model_name_or_path"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert config["r"] == RANK
    assert not re.search("/root|/home|/tmp", text)
