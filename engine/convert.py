"""Turn a GGUF file into a model folder that vLLM and PEFT read: `convert.py MODEL.gguf DIR`."""

import argparse
from functools import cache
from pathlib import Path

import gguf
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

# vLLM takes these for what a request leaves open: at OpenAI's default temperature of 1 a small model rambles.
SAMPLING = {"do_sample": True, "temperature": 0.2, "top_p": 0.9, "repetition_penalty": 1.1}


def convert(file: Path, out: Path) -> None:
    """Write bfloat16 safetensors, config and tokenizer (with its chat template) of `file` into `out`."""
    cache_gguf_parsing()
    source = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    config = source.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # the weights below are no longer quantised
    with torch.device("meta"):  # without weights of its own
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    weights = {name: weight.to(torch.bfloat16) for name, weight in source.state_dict().items()}
    model.load_state_dict(weights, assign=True)
    model.tie_weights()
    marks = {name: getattr(config, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    model.generation_config = GenerationConfig(**SAMPLING, **marks)
    model.save_pretrained(out)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(out)


def cache_gguf_parsing() -> None:
    """Let transformers parse a file's tokens once, not four times, and make its table of names once, too."""
    gguf.GGUFReader = cache(gguf.GGUFReader)
    gguf.get_tensor_name_map = cache(gguf.get_tensor_name_map)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    convert(options.gguf, options.out)
