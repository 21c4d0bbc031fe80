"""How well adapters predict texts: `judge.py --base DIR --adapter NAME=DIR … TEXT.jsonl …`.

A text is a file of conversations, as train.py reads them. Prints one JSON object: file name → adapter's name
→ mean negative log-likelihood (nats a token) of the responses; "base" is the base without an adapter.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from peft import PeftModel
from trainer.examples import read_examples
from trainer.model import LoraModel, loss_per_token
from trainer.preparation import read_tokenizer
from transformers import AutoModelForCausalLM

MAX_TOKENS = 1024
BASE = "base"


def load_adapters(base: Path, adapters: dict[str, Path]) -> PeftModel:
    """Return the base with all adapters beside each other."""
    network = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    names = iter(adapters.items())
    name, folder = next(names)
    model = PeftModel.from_pretrained(network, str(folder), adapter_name=name)
    for name, folder in names:
        model.load_adapter(str(folder), adapter_name=name)
    model.eval()
    return model


def judge_text(model: PeftModel, names: list[str], examples: list) -> dict[str, float]:
    """Return the loss of each adapter, and of the base, on some examples."""
    scorer = LoraModel(model, "cpu")
    losses = {}
    with model.disable_adapter():
        losses[BASE] = loss_per_token([scorer.score_example(example) for example in examples])
    for name in names:
        model.set_adapter(name)
        losses[name] = loss_per_token([scorer.score_example(example) for example in examples])
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("texts", nargs="+", type=Path, metavar="TEXT.jsonl")
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--adapter", action="append", required=True, metavar="NAME=DIR")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    adapters = dict(pair.split("=", 1) for pair in options.adapter)
    model = load_adapters(options.base, {name: Path(folder) for name, folder in adapters.items()})
    tokenizer = read_tokenizer(options.base)
    judged = {}
    for text in options.texts:
        examples = read_examples(text, tokenizer, max_tokens=MAX_TOKENS)
        judged[text.stem] = judge_text(model, list(adapters), examples)
        print(f"{text.stem}: {judged[text.stem]}", file=sys.stderr, flush=True)
    print(json.dumps(judged))


if __name__ == "__main__":
    main()
