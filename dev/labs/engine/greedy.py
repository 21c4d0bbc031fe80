"""Answer prompts with PEFT, greedily, in float32: the reference for vLLM's answers.

    greedy.py --base DIR --max-tokens N < requests.json > texts.json

Standard input is a JSON list of {"adapter": DIR or null, "prompt": TEXT}; the output, a list of texts.
"""

import argparse
import json
import sys
from contextlib import nullcontext
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.append(str(Path(__file__).resolve().parents[3] / "engine"))
from trainer.model import base_dtype

SEED = 7


def load_models(base: Path, adapters: list[str]):
    """Return the tokenizer and the float32 base model with each adapter folder, named by its path."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    for folder in adapters:
        name = adapter_name(folder)
        if isinstance(model, PeftModel):
            model.load_adapter(folder, name)
        else:
            model = PeftModel.from_pretrained(model, folder, adapter_name=name)
    return tokenizer, model.eval()


def adapter_name(folder: str) -> str:
    """Return `folder` as a name that a torch module may have."""
    return folder.replace(".", "_")


def use_adapter(model, folder: str | None):
    """Return a context in which `model` answers with the adapter of `folder`, or as the bare base."""
    if not isinstance(model, PeftModel):
        return nullcontext()
    if folder is None:
        return model.disable_adapter()
    model.set_adapter(adapter_name(folder))
    return nullcontext()


@torch.no_grad()
def answer_prompts(
    tokenizer, model, folder: str | None, prompts: list[str], *, max_tokens: int, **sampling
) -> list[str]:
    """Return the answers to `prompts`, each its own conversation, by the adapter of `folder` or the base.

    With a temperature in `sampling` they are drawn. Without a penalty in it, that on tokens already seen is
    the base model's own (generation_config.json), as vLLM has it.
    """
    rendered = []
    for prompt in prompts:
        messages = [{"role": "user", "content": prompt}]
        rendered.append(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
    # Generation goes on behind the last token, so the padding must stand before the first.
    tokenizer.padding_side = "left"
    inputs = tokenizer(rendered, add_special_tokens=False, return_tensors="pt", padding=True)
    with use_adapter(model, folder):
        generated = model.generate(
            **inputs,
            max_new_tokens=max_tokens,
            do_sample="temperature" in sampling,
            **sampling,
            pad_token_id=tokenizer.pad_token_id,
        )
    prompt_tokens = inputs["input_ids"].shape[1]
    return tokenizer.batch_decode(generated[:, prompt_tokens:], skip_special_tokens=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--batch", type=int, default=1, help="at once; above 1, in the fastest precision")
    parser.add_argument("--penalty", type=float, help="on tokens already seen (default: the base's own)")
    parser.add_argument("--temperature", type=float, default=0, help="draw the answers, with a fixed seed")
    parser.add_argument("--top-p", type=float, default=1)
    options = parser.parse_args()
    requests = json.load(sys.stdin)
    folders = list(dict.fromkeys(request["adapter"] for request in requests if request["adapter"]))
    tokenizer, model = load_models(options.base, folders)
    if options.batch > 1:  # padding changes the last bits anyway
        model = model.to(base_dtype("cpu"))
    sampling = {}
    if options.penalty:
        sampling["repetition_penalty"] = options.penalty
    if options.temperature:
        torch.manual_seed(SEED)
        sampling |= {"temperature": options.temperature, "top_p": options.top_p, "top_k": 0}
    texts = []
    for adapter, group in groupby(requests, key=itemgetter("adapter")):
        prompts = [request["prompt"] for request in group]
        for first in range(0, len(prompts), options.batch):
            some = prompts[first : first + options.batch]
            texts += answer_prompts(
                tokenizer, model, adapter, some, max_tokens=options.max_tokens, **sampling
            )
    print(json.dumps(texts, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
