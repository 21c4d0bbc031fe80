"""A CPU worker for vLLM (`--worker-cls`): many adapters quickly, seeds with long prompts, marked answers."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import polyscribe_lora
from vllm.v1.outputs import AsyncModelRunnerOutput, ModelRunnerOutput
from vllm.v1.worker.cpu_model_runner import CPUModelRunner
from vllm.v1.worker.cpu_worker import CPUWorker

UNKNOWN_RUNNER = (
    "This vLLM's CPU runner is not the one that engine/extensions/polyscribe_worker.py corrects: "
    "find out whether a seeded prompt longer than a step still kills it."
)
UNMARKED_RUNNER = (
    "Model Runner V2 has no watermark on a CPU. "
    "Unset VLLM_USE_V2_MODEL_RUNNER, or unset WATERMARK_KEYS to start without the watermark."
)
LORA = "ENGINE_LORA"  # "vllm" keeps vLLM's own wrapper
WATERMARK = "POLYSCRIBE_WATERMARK"  # engine/serve.py sets it to EPOCH:KEY


class SeedSafeRunner(CPUModelRunner):
    """A runner that draws for a seeded request only in steps whose token is kept.

    vLLM 0.32 samples a token for every request of a step. Where the step read only a part of a prompt, it
    throws that token away and turns the request's generator back with `set_offset`, which a CPU's generators
    lack: the EngineCore dies. Here such a step doesn't see the generator. So nothing has to be turned back,
    and a seed gives the same text however its prompt was cut into steps.
    """

    def sample_tokens(
        self, *arguments: object, **keywords: object
    ) -> ModelRunnerOutput | AsyncModelRunnerOutput:
        with self._without_generators_of_unread_prompts():
            return super().sample_tokens(*arguments, **keywords)

    @contextmanager
    def _without_generators_of_unread_prompts(self) -> Iterator[None]:
        batch = self.input_batch
        unread = np.nonzero(self.discard_request_mask.np[: batch.num_reqs])[0]
        hidden = {}
        for row in unread.tolist():
            if row in batch.generators:
                hidden[row] = batch.generators.pop(row)
        try:
            yield
        finally:
            batch.generators.update(hidden)


class Worker(CPUWorker):
    """vLLM's CPU worker with the runner above, whose sampler marks answers where there is a key.

    Its layers are those of polyscribe_lora.py.
    """

    def init_device(self) -> None:
        """Raises RuntimeError, and so ends the start, where vLLM has changed what the guard relies on."""
        super().init_device()
        _, _, key = os.environ.get(WATERMARK, "").partition(":")
        if self.use_v2_model_runner:  # draws by seed and position: it has no generators
            if key:
                raise RuntimeError(UNMARKED_RUNNER)
            return
        if not is_known(self.model_runner):
            raise RuntimeError(UNKNOWN_RUNNER)
        # vLLM makes its runner itself and has no option for another class.
        self.model_runner.__class__ = SeedSafeRunner
        if key:
            mark_answers(self.model_runner, int(key, 16))

    def load_model(self, *arguments: Any, **keywords: Any) -> None:
        """Raises UnknownLayers, and so ends the start, where vLLM has changed its LoRA layers."""
        is_ours = os.environ.get(LORA) != "vllm"
        polyscribe_lora.choose(polyscribe_lora.Wrapper if is_ours else polyscribe_lora.VllmWrapper)
        super().load_model(*arguments, **keywords)
        if is_ours and self.vllm_config.lora_config:
            polyscribe_lora.install(self.model_runner.get_model())


def mark_answers(runner: CPUModelRunner, key: int) -> None:
    """Let a runner's sampler draw with the watermark."""
    # Here, for its compiler takes memory and seconds that an engine without a key doesn't need.
    from polyscribe_watermark import MarkingSampler  # noqa: PLC0415

    runner.sampler.topk_topp_sampler.forward = MarkingSampler(runner, key)


def is_known(runner: object) -> bool:
    """Return whether sampling reads the generators from where SeedSafeRunner hides them."""
    if type(runner) is not CPUModelRunner or not hasattr(runner, "discard_request_mask"):
        return False
    batch = runner.input_batch
    return batch.sampling_metadata.generators is batch.generators
