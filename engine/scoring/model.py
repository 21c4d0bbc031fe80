"""A base model with several adapters, which score the same examples in turn."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import adapter
import torch
from peft import PeftModel
from safetensors import SafetensorError
from torch.nn.functional import cross_entropy
from trainer.errors import BadAdapter
from trainer.examples import IGNORED, Example
from trainer.job import ModelSettings
from trainer.model import PADDING, LoraModel, Scores, keep_input_precision, load_base
from transformers import DynamicCache

BASE = "base"
CONTINUATIONS = 32  # in a forward pass


@dataclass(frozen=True)
class Scorer:
    """A base model with its adapters. BASE is the name of the base without an adapter."""

    model: LoraModel

    @contextmanager
    def using(self, name: str) -> Iterator[LoraModel]:
        """Have one adapter, or none for BASE, take part in predictions."""
        network = self.model.network
        if name == BASE:
            with network.disable_adapter():
                yield self.model
            return
        network.set_adapter(name)
        yield self.model

    def score(self, name: str, example: Example) -> Scores:
        """Return how well an adapter predicts an example."""
        with self.using(name) as model:
            return model.score_example(example)

    @torch.inference_mode()
    def score_continuations(
        self, name: str, prefix: list[int], continuations: list[list[int]]
    ) -> list[float]:
        """Return the nats of each continuation of `prefix`, which is read only once."""
        nats: list[float] = []
        with self.using(name) as model, model.low_precision():
            network = model.network.get_base_model()
            read = DynamicCache()
            before = torch.tensor([prefix[:-1]], device=model.device)
            network.model(before, past_key_values=read, use_cache=True)
            for first in range(0, len(continuations), CONTINUATIONS):
                some = continuations[first : first + CONTINUATIONS]
                cache = copy.deepcopy(read)
                cache.batch_repeat_interleave(len(some))
                tokens, following = pad_continuations(prefix[-1], some, model.device)
                hidden = network.model(tokens, past_key_values=cache, use_cache=True).last_hidden_state
                is_scored = following != IGNORED
                logits = network.lm_head(hidden[is_scored]).float()
                lost = cross_entropy(logits, following[is_scored], reduction="none")
                nats += [part.sum().item() for part in lost.split([len(one) for one in some])]
        return nats


def pad_continuations(
    last: int, continuations: list[list[int]], device: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the tokens after a prefix without its last one, and what each of them is followed by."""
    width = max(map(len, continuations))
    tokens = []
    following = []
    for continuation in continuations:
        missing = width - len(continuation)
        tokens.append([last, *continuation[:-1]] + [PADDING] * missing)
        following.append(continuation + [IGNORED] * missing)
    return torch.tensor(tokens, device=device), torch.tensor(following, device=device)


def load_scorer(settings: ModelSettings, adapters: Mapping[str, Path]) -> Scorer:
    """Return the base with all adapters beside each other. Raises NoBase, NoDevice and BadAdapter."""
    torch.set_num_threads(settings.threads)
    base = load_base(settings)
    network: PeftModel | None = None
    for name, folder in adapters.items():
        if not (folder / adapter.WEIGHTS).is_file():  # or PEFT would look for it on the hub
            raise BadAdapter(f"{folder / adapter.WEIGHTS} is missing.")
        try:
            if network is None:
                network = PeftModel.from_pretrained(base, str(folder), adapter_name=name)
            else:
                network.load_adapter(str(folder), adapter_name=name)
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
            raise BadAdapter(f"The adapter in {folder} cannot be loaded: {error}") from None
    if network is None:
        raise BadAdapter("There is no adapter.")
    keep_input_precision(network)
    network.eval()
    return Scorer(LoraModel(network, settings.device))
