"""Train the shipped styles with PEFT on a CPU: `train.py STYLE …`, or all of them without a name.

Reads styles/STYLE/examples.jsonl and writes adapter_config.json and adapter_model.safetensors beside it.
Every tenth example is kept for validation; the epoch with the lowest validation loss is saved. heldout.jsonl
is never read here: docs/styles.md measures on it. The same texts, base and torch build give the same weights.
"""

import argparse
import json
import math
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import adapter
import prepare
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from transformers import AutoModelForCausalLM, AutoTokenizer

ENGINE = Path(__file__).resolve().parent
STYLES = ENGINE / "styles"
BASE_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
BASE = Path(os.environ.get("BASE_MODEL_DIR") or ENGINE.parent / "var/models/SmolLM2-135M-Instruct")

IGNORED = -100  # the label that cross entropy skips
SEED = 7
VALIDATE_EVERY = 10
THREADS = 2  # the order of sums, and so the last bits of the weights, depends on it


@dataclass(frozen=True)
class Recipe:
    """How a style is trained."""

    rank: int = 8
    alpha: int = 16
    dropout: float = 0.0
    learning_rate: float = 1e-3
    epochs: int = 3
    batch: int = 4
    warmup: float = 0.1  # share of all steps
    decay: float = 0.01


@dataclass(frozen=True)
class Example:
    """One tokenised conversation; labels are IGNORED up to the response."""

    tokens: list[int]
    labels: list[int]


def read_examples(file: Path) -> list[dict[str, str]]:
    """Return the prompt and response of each line of `file`. Raises SystemExit naming a wrong line."""
    if not file.is_file():
        raise SystemExit(f'{file} is missing: write one {{"prompt": …, "response": …}} a line.')
    rows = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            rows.append({"prompt": str(row["prompt"]), "response": str(row["response"])})
        except (ValueError, KeyError, TypeError) as error:
            raise SystemExit(f'{file} line {number} is not {{"prompt", "response"}}: {error!r}') from None
    return rows


def encode_example(tokenizer, prompt: str, response: str) -> Example:
    """Return the conversation in the base's chat template, labelled on the response and its end mark."""
    messages = [{"role": "user", "content": prompt}]
    rendered = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    before = tokenizer(rendered, add_special_tokens=False)["input_ids"]
    after = tokenizer(f"{response}{tokenizer.eos_token}", add_special_tokens=False)["input_ids"]
    return Example(before + after, [IGNORED] * len(before) + after)


def collate_batch(examples: list[Example], pad: int) -> dict[str, torch.Tensor]:
    """Return one batch, padded on the right to its longest example: no token sees what comes after it."""
    width = max(len(example.tokens) for example in examples)
    tokens = []
    labels = []
    for example in examples:
        missing = width - len(example.tokens)
        tokens.append(example.tokens + [pad] * missing)
        labels.append(example.labels + [IGNORED] * missing)
    return {"input_ids": torch.tensor(tokens), "labels": torch.tensor(labels)}


def make_batches(examples: list[Example], size: int, generator: random.Random) -> list[list[Example]]:
    """Return `examples` in batches of like length (less padding), in random order."""
    shuffled = sorted(generator.sample(examples, len(examples)), key=lambda example: len(example.tokens))
    groups = [shuffled[start : start + size] for start in range(0, len(shuffled), size)]
    generator.shuffle(groups)
    return groups


def response_loss(model, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the mean negative log-likelihood (nats) of the labelled tokens.

    The output layer, a fifth of the work, is computed at those only; bfloat16 halves the rest.
    """
    causal = model.get_base_model()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = causal.model(batch["input_ids"]).last_hidden_state
        following = batch["labels"][:, 1:]
        known = following != IGNORED
        logits = causal.lm_head(hidden[:, :-1][known])
    return torch.nn.functional.cross_entropy(logits.float(), following[known])


@torch.no_grad()
def loss_per_token(model, examples: list[Example], pad: int) -> float:
    """Return the mean negative log-likelihood (nats) over all response tokens of `examples`."""
    model.eval()
    total_loss = 0.0
    total_tokens = 0
    for example in examples:
        tokens = sum(label != IGNORED for label in example.labels)
        total_loss += response_loss(model, collate_batch([example], pad)).item() * tokens
        total_tokens += tokens
    return total_loss / total_tokens


def train_style(style: Path, base: Path, recipe: Recipe) -> None:
    """Train the style in the folder `style` and write its adapter there."""
    started = time.monotonic()
    torch.manual_seed(SEED)
    torch.set_num_threads(THREADS)
    generator = random.Random(SEED)
    tokenizer = AutoTokenizer.from_pretrained(base)
    pad = tokenizer.pad_token_id
    examples = [encode_example(tokenizer, **row) for row in read_examples(style / "examples.jsonl")]
    validation = examples[VALIDATE_EVERY - 1 :: VALIDATE_EVERY]
    learned = [example for number, example in enumerate(examples, 1) if number % VALIDATE_EVERY]
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16),
        LoraConfig(
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            lora_dropout=recipe.dropout,
            target_modules=list(adapter.LINEAR),
            task_type="CAUSAL_LM",
        ),
    )
    print(
        f"{style.name}: {len(learned)} examples to learn, {len(validation)} to validate; "
        f"loss before: {loss_per_token(model, validation, pad):.3f}",
        flush=True,
    )
    best = fit_adapter(model, learned, validation, pad=pad, recipe=recipe, generator=generator)
    settings = adapter.lora_config(
        base_name=BASE_NAME,
        rank=recipe.rank,
        alpha=recipe.alpha,
        modules=adapter.LINEAR,
        dropout=recipe.dropout,
    )
    adapter.write_adapter(style, settings, best)
    size = (style / adapter.WEIGHTS).stat().st_size / 1e6
    print(f"{style.name}: saved {size:.2f} MB after {time.monotonic() - started:.0f} s", flush=True)


def fit_adapter(
    model, learned, validation, *, pad: int, recipe: Recipe, generator: random.Random
) -> dict[str, torch.Tensor]:
    """Return the adapter's weights at the epoch with the lowest validation loss; stop once it rises."""
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=recipe.learning_rate, weight_decay=recipe.decay)
    steps = recipe.epochs * math.ceil(len(learned) / recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=steps, pct_start=recipe.warmup, cycle_momentum=False
    )
    best = {}
    lowest = math.inf
    for epoch in range(1, recipe.epochs + 1):
        losses = []
        model.train()
        for group in make_batches(learned, recipe.batch, generator):
            loss = response_loss(model, collate_batch(group, pad))
            loss.backward()
            # One odd example must not undo what the others taught.
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        validated = loss_per_token(model, validation, pad)
        print(
            f"  epoch {epoch}: loss {sum(losses) / len(losses):.3f}, validation {validated:.3f}", flush=True
        )
        # It has begun to learn its examples by heart.
        if validated >= lowest:
            break
        lowest = validated
        best = {name: tensor.clone() for name, tensor in get_peft_model_state_dict(model).items()}
    return best


def main() -> None:
    known = sorted(folder.name for folder in STYLES.iterdir() if folder.is_dir())
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("styles", nargs="*", metavar="STYLE", help=f"one of {', '.join(known)}")
    parser.add_argument("--base", type=Path, default=BASE)
    options = parser.parse_args()
    if set(options.styles) - set(known):
        parser.error(f"a style is one of {', '.join(known)}")
    if options.base == BASE:
        prepare.prepare_model(prepare.PACKAGED, BASE)
    adapter.read_layer_shapes(options.base)
    for name in options.styles or known:
        train_style(STYLES / name, options.base, Recipe())


if __name__ == "__main__":
    main()
