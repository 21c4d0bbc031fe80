"""Answer with transformers and PEFT, one request after the other; runs in the engine's environment.

Standard input is JSON: `base`, `dtype`, `adapters`, `prompts` (tokens), `tokens`. Prints, for the base, one
style and eight styles, what each length of prompt gives: tokens/s and the first tokens' times (of few
requests, so that p99 is the longest).
"""

import json
import sys
import time
from contextlib import nullcontext
from statistics import median

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

REQUESTS = 4


def main() -> None:
    asked = json.load(sys.stdin)
    model = AutoModelForCausalLM.from_pretrained(asked["base"], dtype=getattr(torch, asked["dtype"])).eval()
    model = PeftModel.from_pretrained(model, asked["adapters"][0], adapter_name="0")
    for number, folder in enumerate(asked["adapters"][1:], 1):
        model.load_adapter(folder, str(number))
    names = [str(number) for number in range(len(asked["adapters"]))]
    found = {}
    for who, adapters in (("base", [None]), ("one style", names[:1]), ("eight styles", names)):
        found[who] = {
            length: measure(model, adapters, length=length, tokens=asked["tokens"])
            for length in asked["prompts"]
        }
    print(json.dumps(found))


def measure(model, adapters: list, *, length: int, tokens: int) -> dict[str, float]:
    """Return the rate of REQUESTS answers, their adapters in turn, and the time of a first token."""
    answer(model, adapters[0], length=length, tokens=2)
    began_s = time.perf_counter()
    for number in range(REQUESTS):
        answer(model, adapters[number % len(adapters)], length=length, tokens=tokens)
    seconds = time.perf_counter() - began_s
    first_s = []
    for number in range(REQUESTS):
        began_s = time.perf_counter()
        answer(model, adapters[number % len(adapters)], length=length, tokens=1)
        first_s.append(time.perf_counter() - began_s)
    return {
        "tokens_s": round(REQUESTS * tokens / seconds, 1),
        "first_token_p50_ms": round(1000 * median(first_s)),
        "first_token_p99_ms": round(1000 * max(first_s)),
    }


@torch.inference_mode()
def answer(model, adapter: str | None, *, length: int, tokens: int) -> None:
    prompt = torch.randint(1000, 40_000, (1, length))
    if adapter is not None:
        model.set_adapter(adapter)
    with model.disable_adapter() if adapter is None else nullcontext():
        model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
            pad_token_id=0,
        )


main()
