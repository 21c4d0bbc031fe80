"""Compare polyscribe_watermark.py with vLLM's own functions; runs in the engine's environment, prints JSON.

Everything that it prints is a number of differences, and must be 0.
"""

import json
from types import SimpleNamespace

import numpy as np
import torch
from polyscribe_watermark import MarkingSampler, draw_marked
from vllm.platforms import current_platform
from vllm.v1.sample.ops.topk_topp_sampler import TopKTopPSampler
from vllm.v1.watermarking import GumbelWatermarker
from vllm.v1.worker.gpu.sample.watermark import repeated_context_mask

KEY = 0xFEDCBA9876543210
VOCABULARY = 49_152
ROWS = 24
random = np.random.default_rng(7)
current_platform.import_kernels()


def logits_of_a_model(spread: float) -> np.ndarray:
    """Return logits from nearly decided ones to flat ones; one row has a grammar's mask, one is decided."""
    logits = random.normal(0, 1, (ROWS, VOCABULARY)) * random.uniform(0, spread, (ROWS, 1))
    logits[0, random.integers(0, VOCABULARY, VOCABULARY - 20)] = -np.inf
    logits[1] = -np.inf
    logits[1, 77] = 3
    return logits.astype(np.float32)


def count_other_draws() -> int:
    """Return how many draws differ from those that hash every candidate."""
    watermarker = GumbelWatermarker(KEY)
    tokens = random.integers(0, VOCABULARY, (ROWS, 64), dtype=np.int32)
    prompts, totals = np.full(ROWS, 10, np.int32), random.integers(20, 60, ROWS, dtype=np.int32)
    contexts = np.stack([tokens[row, totals[row] - 4 : totals[row]] for row in range(ROWS)])
    different = 0
    for spread in (0.0, 0.3, 1.0, 2.0, 4.0, 8.0, 30.0):
        logits = logits_of_a_model(spread)
        drawn = np.full(ROWS, -1)
        batch = (np.arange(ROWS), tokens, prompts, totals)
        draw_marked(logits, logits.max(axis=1), batch, (KEY & 0xFFFFFFFF, KEY >> 32), drawn)
        expected = watermarker._sample_watermarked(torch.from_numpy(logits), torch.from_numpy(contexts))
        different += int((expected.token_ids.numpy() != drawn).sum())
    return different


def count_other_repeats() -> int:
    """Return how many tokens are marked where vLLM's rule "all" says no, or not marked where it says yes."""
    different = 0
    logits = np.zeros((ROWS, 8), np.float32)
    for length, kinds in [(12, 2), (40, 2), (300, 3), (8300, VOCABULARY)]:
        tokens = random.integers(0, kinds, (ROWS, length + 1), dtype=np.int32)
        totals = random.integers(length - length // 200 - 1, length, ROWS, dtype=np.int32)
        for row in range(3):  # as long ago as is searched, and around that
            place = max(4, totals[row] - 8191 - row)
            tokens[row, place - 4 : place] = tokens[row, totals[row] - 4 : totals[row]]
        prompts = np.maximum(0, totals - random.integers(0, 9, ROWS, dtype=np.int32)).astype(np.int32)
        drawn = np.full(ROWS, -1)
        batch = (np.arange(ROWS), tokens, prompts, totals)
        draw_marked(logits, logits.max(axis=1), batch, (1, 2), drawn)
        contexts = np.stack([tokens[row, totals[row] - 4 : totals[row]] for row in range(ROWS)])
        is_repeated = repeated_context_mask(
            torch.from_numpy(tokens),
            torch.arange(ROWS),
            torch.from_numpy(prompts),
            torch.from_numpy(totals),
            torch.from_numpy(contexts),
            8192,
            include_prompt=True,
            skip_partial_context=True,
        )
        different += int((is_repeated.numpy() != (drawn < 0)).sum())
    return different


def make_runner(parameters: list[SimpleNamespace], temperatures: list[float]) -> SimpleNamespace:
    count = len(parameters)
    names = [f"request-{row}" for row in range(count)]
    sampler = TopKTopPSampler()
    batch = SimpleNamespace(
        req_ids=names,
        temperature_cpu=np.array(temperatures, np.float32),
        token_ids_cpu=np.tile(np.arange(100, dtype=np.int32), (count, 1)),
        num_prompt_tokens=np.full(count, 10, np.int32),
        num_tokens_no_spec=np.full(count, 50, np.int32),
    )
    requests = {
        name: SimpleNamespace(sampling_params=each) for name, each in zip(names, parameters, strict=True)
    }
    return SimpleNamespace(
        input_batch=batch,
        requests=requests,
        sampler=SimpleNamespace(topk_topp_sampler=sampler),
        use_async_scheduling=False,
        speculative_config=None,
    )


def count_other_unmarked() -> int:
    """Return how many rows of a mixed batch differ: unmarked ones from vLLM's draw with the same seeds."""
    declined, wanted = SimpleNamespace(extra_args={"watermarking": 0}), SimpleNamespace(extra_args=None)
    parameters = [wanted, declined, wanted, declined, SimpleNamespace(extra_args={"pool": "a"})]
    runner = make_runner(parameters, [0.7, 1.0, 0.0, 0.5, 1.0])
    draw = MarkingSampler(runner, KEY)
    logits = torch.from_numpy(random.normal(0, 2, (5, VOCABULARY)).astype(np.float32))
    seeded = {row: torch.Generator().manual_seed(row) for row in (0, 1, 3)}
    again = {row: torch.Generator().manual_seed(row) for row in (0, 1, 3)}
    expected, _ = runner.sampler.topk_topp_sampler.forward_cpu(logits.clone(), again, None, None)
    drawn, _ = draw(logits.clone(), seeded, None, None)
    contexts = torch.arange(46, 50).repeat(5, 1)
    marked = GumbelWatermarker(KEY)._sample_watermarked(logits, contexts).token_ids
    different = sum(int(drawn[row] != expected[row]) for row in (1, 3))
    different += sum(int(drawn[row] != marked[row]) for row in (0, 4))
    top_k = torch.tensor([3, 3, 3, 3, 3], dtype=torch.int32)
    best = logits.topk(3).indices
    drawn, _ = draw(logits.clone(), {}, top_k, None)
    return different + sum(int(drawn[row] not in best[row]) for row in range(5))


def count_wrong_starts() -> int:
    """Return how many unknown runners are accepted."""
    wrong = 0
    for changed in ({"use_async_scheduling": True}, {"speculative_config": object()}):
        runner = SimpleNamespace(**(vars(make_runner([], [])) | changed))
        try:
            MarkingSampler(runner, KEY)
        except RuntimeError:
            continue
        wrong += 1
    return wrong


print(
    json.dumps(
        {
            "draws": count_other_draws(),
            "repeats": count_other_repeats(),
            "unmarked": count_other_unmarked(),
            "starts": count_wrong_starts(),
        }
    )
)
