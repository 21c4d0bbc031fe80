"""The base model with a trainable adapter, and how well it predicts examples."""

import math
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import base_layers
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel
from transformers.utils import is_bitsandbytes_available

from trainer.errors import NoBase, NoDevice
from trainer.examples import IGNORED, Example
from trainer.job import Job, ModelSettings

# Padded tokens per forward pass; a larger batch is split.
PASS_TOKENS = {"cpu": 1024, "cuda": 8192}
# Positions whose logits are in memory at once: 150 MB with a vocabulary of 150,000.
LOGIT_POSITIONS = 256
PADDING = 0  # any token works: it is on the right, so no token of an example attends to it
# Widths are multiples of this: memory is used again instead of being split up (a sixth less at the peak), and
# oneDNN compiles its products for a few widths instead of for each (a twelfth faster).
WIDTH_STEP = 32


@dataclass(frozen=True)
class Scores:
    """How well the model predicts one example's learned tokens."""

    nats: float  # negative log-likelihood, summed
    predictions: list[bool]  # whether each is the most likely token after those before it


@dataclass(frozen=True)
class LoraModel:
    """A base model with an adapter on a device."""

    network: PeftModel
    device: str

    @property
    def weights(self) -> dict[str, torch.nn.Parameter]:
        """Return the adapter's weights by name, all in float32."""
        named = self.network.named_parameters()
        return {name: parameter for name, parameter in named if parameter.requires_grad}

    def low_precision(self) -> AbstractContextManager[None]:
        """Return a context in which products are computed in bfloat16, where the device has it."""
        return torch.autocast(self.device, torch.bfloat16, enabled=base_dtype(self.device) is torch.bfloat16)

    def backward_batch(self, batch: list[Example]) -> float:
        """Add the gradient of the batch's loss; return the loss in nats per learned token."""
        learned_tokens = sum(example.learned_tokens for example in batch)
        nats = 0.0
        for part in split_batch(batch, PASS_TOKENS[self.device]):
            nats += self._backward_part(part, learned_tokens)
        return nats / learned_tokens

    def _backward_part(self, part: list[Example], learned_tokens: int) -> float:
        """Add the gradient of the part's loss over `learned_tokens`; return the nats.

        The output layer's result is by far the largest. So it is only computed at learned positions, a few at
        a time, and each part is differentiated at once down to the hidden states.
        """
        hidden, targets = self._read(part)
        positions = hidden.detach().requires_grad_()
        nats = 0.0
        for some, expected in zip(
            positions.split(LOGIT_POSITIONS), targets.split(LOGIT_POSITIONS), strict=True
        ):
            loss = cross_entropy(self._logits(some), expected, reduction="sum")
            (loss / learned_tokens).backward()
            nats += loss.item()
        hidden.backward(positions.grad)
        return nats

    @torch.no_grad()
    def score_example(self, example: Example) -> Scores:
        """Return how well the model predicts `example`."""
        hidden, targets = self._read([example])
        nats = 0.0
        predictions: list[bool] = []
        for some, expected in zip(hidden.split(LOGIT_POSITIONS), targets.split(LOGIT_POSITIONS), strict=True):
            logits = self._logits(some)
            nats += cross_entropy(logits, expected, reduction="sum").item()
            predictions += (logits.argmax(dim=-1) == expected).tolist()
        return Scores(nats, predictions)

    def _read(self, examples: list[Example]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the hidden state before each learned token, and those tokens."""
        tokens, labels = pad_examples(examples, self.device)
        following = labels[:, 1:]
        is_learned = following != IGNORED
        with self.low_precision():
            base = self.network.get_base_model()
            hidden = base.model(tokens, use_cache=False).last_hidden_state
        return hidden[:, :-1][is_learned], following[is_learned]

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        with self.low_precision():
            return self.network.get_base_model().lm_head(hidden).float()


def load_model(job: Job) -> LoraModel:
    """Return the job's base with a new adapter on all its linear layers. Raises NoBase and NoDevice."""
    base = load_base(job)
    if job.device == "cuda":
        # A third slower, but otherwise an 8B model's hidden states would take tens of gigabytes.
        base.gradient_checkpointing_enable()
    network = get_peft_model(base, lora_settings(job))
    keep_input_precision(network)
    return LoraModel(network, job.device)


def load_base(job: ModelSettings) -> PreTrainedModel:
    """Return the base on its device. Raises NoBase and NoDevice."""
    check_device(job)
    options = {"dtype": base_dtype(job.device), "local_files_only": True}
    if job.quantisation:
        options |= {"quantization_config": four_bits(), "device_map": {"": job.device}}
    try:
        base = AutoModelForCausalLM.from_pretrained(job.base, **options)
    except (OSError, ValueError) as error:
        raise NoBase(f"The base model in {job.base} cannot be loaded: {error}") from None
    if not (hasattr(base, "model") and hasattr(base, "lm_head")):
        raise NoBase(f"Models like the one in {job.base} ({base.config.model_type}) cannot be trained.")
    if not job.quantisation:
        base.to(job.device)
    return base


def base_dtype(device: str) -> torch.dtype:
    """Return the precision of the base model: float32 on an x86 processor without AVX-512.

    There bfloat16 is emulated: an AMD EPYC 7003 multiplies matrices a hundred times slower than in float32.
    dev/stack/environment.py decides the same for vLLM, without torch.
    """
    has_avx512 = "AVX512" in torch.backends.cpu.get_cpu_capability()
    is_emulated = device == "cpu" and platform.machine() == "x86_64" and not has_avx512
    return torch.float32 if is_emulated else torch.bfloat16


def keep_input_precision(network: PeftModel) -> None:
    """Have the adapters' layers take their inputs as they are.

    Otherwise each layer keeps a copy of its input in float32, to no effect under low_precision(): a tenth of
    the memory.
    """
    for module in network.modules():
        if isinstance(module, LoraLayer):
            module.cast_input_dtype_enabled = False


def check_device(job: ModelSettings) -> None:
    """Raise NoDevice if this machine lacks what `job` needs."""
    if job.quantisation and job.device != "cuda":
        raise NoDevice("Training on a base in 4 bits needs an NVIDIA GPU. Set the device to cuda.")
    if job.device == "cuda" and not torch.cuda.is_available():
        raise NoDevice("This process sees no NVIDIA GPU, or its PyTorch was built without CUDA.")
    if job.quantisation and not is_bitsandbytes_available():
        raise NoDevice("Training on a base in 4 bits needs the package bitsandbytes, which isn't installed.")


def four_bits() -> BitsAndBytesConfig:
    """Return QLoRA's settings (arXiv 2305.14314)."""
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def lora_settings(job: Job) -> LoraConfig:
    """Return PEFT's settings for the job's recipe. PEFT keeps the adapter's weights in float32."""
    return LoraConfig(
        r=job.recipe.rank,
        lora_alpha=job.recipe.scale_alpha,
        lora_dropout=0.0,
        use_rslora=job.recipe.use_rslora,
        target_modules=list(base_layers.LINEAR),
        task_type="CAUSAL_LM",
    )


def split_batch(batch: list[Example], max_tokens: int) -> Iterator[list[Example]]:
    """Yield the batch in parts of at most `max_tokens` padded tokens, or of one example."""
    size = max(1, max_tokens // padded_width(batch))
    for start in range(0, len(batch), size):
        yield batch[start : start + size]


def padded_width(examples: list[Example]) -> int:
    """Return the tokens of the longest example, rounded up."""
    longest = max(len(example.tokens) for example in examples)
    return math.ceil(longest / WIDTH_STEP) * WIDTH_STEP


def pad_examples(examples: list[Example], device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tokens and labels, padded on the right to a common width."""
    width = padded_width(examples)
    tokens = []
    labels = []
    for example in examples:
        missing = width - len(example.tokens)
        tokens.append(example.tokens + [PADDING] * missing)
        labels.append(example.labels + [IGNORED] * missing)
    return torch.tensor(tokens, device=device), torch.tensor(labels, device=device)


def loss_per_token(scores: list[Scores]) -> float:
    """Return the mean negative log-likelihood, in nats, over the learned tokens of all examples."""
    tokens = sum(len(score.predictions) for score in scores)
    return sum(score.nats for score in scores) / tokens
