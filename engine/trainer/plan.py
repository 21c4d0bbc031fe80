"""What a training will do, step by step. Everything follows from the job and its examples."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from trainer.examples import Example
from trainer.job import Job, Recipe

LEAST_STEPS = 100  # with fewer, the adapter hardly changes (TRL, "LoRA without regret")
# Beyond this share of an epoch's tokens, held-out text is sampled. Scoring is 2.4 times as fast as training.
VALIDATED_SHARE = 1 / 8
# Tokens of learned text that are checked for repeats: at most a twelfth of the time.
REPEATED_TOKENS = 2048
REPEATED_SHARE = 1 / 10  # of an epoch's tokens
# Found with this project's small base; and by Tinker's rule for Llama models, 5e-4 · (2000 / width)^0.781.
NARROW_WIDTH, NARROW_RATE = 576, 1e-3
WIDE_WIDTH, WIDE_RATE = 4096, 2.9e-4


@dataclass(frozen=True)
class Plan:
    """The examples, and the order in which they are learned."""

    learned: list[Example]
    validation: list[Example]  # a sample of them if there are many
    repeated: list[Example]  # those of `learned` that are checked for repeats
    epochs: int
    batch_size: int
    learning_rate: float  # the highest
    warmup_steps: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.learned) / self.batch_size)

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    @property
    def tokens_per_epoch(self) -> int:
        """Return the tokens of all learned examples, including prompts."""
        return count_tokens(self.learned)

    def batches_after(self, step: int) -> Iterator[list[Example]]:
        """Yield the batch of each step after the first `step` ones."""
        for epoch in range(step // self.steps_per_epoch, self.epochs):
            completed = max(0, step - epoch * self.steps_per_epoch)
            yield from self.order_epoch(epoch)[completed:]

    def order_epoch(self, epoch: int) -> list[list[Example]]:
        """Return an epoch's batches in random order; similar lengths share a batch, to save padding."""
        generator = random.Random(f"{self.seed} {epoch}")  # noqa: S311 - the same after a restart
        shuffled = generator.sample(self.learned, len(self.learned))
        shuffled.sort(key=lambda example: len(example.tokens))
        starts = range(0, len(shuffled), self.batch_size)
        batches = [shuffled[start : start + self.batch_size] for start in starts]
        generator.shuffle(batches)
        return batches

    def learning_rate_at(self, step: int) -> float:
        """Return the rate of the step after `step` completed ones: a linear rise, then half a cosine."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / (self.warmup_steps + 1)
        progress = (step - self.warmup_steps) / (self.steps - self.warmup_steps)
        return self.learning_rate * (1 + math.cos(math.pi * progress)) / 2

    def validates_after(self, step: int) -> bool:
        """Return whether an epoch ends with `step`."""
        return step % self.steps_per_epoch == 0


def make_plan(job: Job, learned: list[Example], validation: list[Example], *, width: int) -> Plan:
    """Return the plan of `job` for a base model with hidden states of size `width`."""
    recipe = job.recipe
    batch_size = choose_batch_size(len(learned), recipe)
    steps = recipe.epochs * math.ceil(len(learned) / batch_size)
    tokens = count_tokens(learned)
    return Plan(
        learned=learned,
        validation=sample_evenly(validation, max_tokens=int(tokens * VALIDATED_SHARE)),
        repeated=sample_evenly(learned, max_tokens=min(REPEATED_TOKENS, int(tokens * REPEATED_SHARE))),
        epochs=recipe.epochs,
        batch_size=batch_size,
        learning_rate=choose_rate(recipe, batch_size, width=width),
        warmup_steps=int(recipe.warmup_ratio * steps),
        seed=job.seed,
    )


def choose_batch_size(examples: int, recipe: Recipe) -> int:
    """Return the largest batch size up to the recipe's with which training takes LEAST_STEPS, or 1."""
    for size in range(recipe.batch_size, 1, -1):
        if recipe.epochs * math.ceil(examples / size) >= LEAST_STEPS:
            return size
    return 1


def choose_rate(recipe: Recipe, batch_size: int, *, width: int) -> float:
    """Return the highest learning rate: the recipe's for its own batch size, less for a smaller batch.

    The gradient of fewer examples is noisier. With Adam, the rate goes with the root of their number
    (arXiv 2205.10287).
    """
    rate = (recipe.learning_rate or rate_by_width(width)) * recipe.learning_rate_multiplier
    return rate * math.sqrt(batch_size / recipe.batch_size)


def rate_by_width(width: int) -> float:
    """Return the learning rate for a base of this width, by the power law through the two known ones."""
    exponent = math.log(NARROW_RATE / WIDE_RATE) / math.log(WIDE_WIDTH / NARROW_WIDTH)
    return NARROW_RATE * (NARROW_WIDTH / width) ** exponent


def sample_evenly(examples: list[Example], *, max_tokens: int) -> list[Example]:
    """Return examples from all parts of the list: at most `max_tokens` in total, but at least one example."""
    tokens = count_tokens(examples)
    if tokens <= max_tokens:
        return examples
    count = max(1, len(examples) * max_tokens // tokens)
    return [examples[number * len(examples) // count] for number in range(count)]


def count_tokens(examples: list[Example]) -> int:
    return sum(len(example.tokens) for example in examples)
