"""The watermark of a CPU engine: vLLM's own Gumbel mark, whose option needs a GPU.

vLLM marks a text by the noise of its draws. Philox makes it from a secret key, the last four tokens of the
answer and the candidate; whoever has the key finds more of it in the tokens than chance would leave there.
This draws as `--watermark-config` {"algorithm": "gumbel", "context_width": 4, "deduplicate_contexts": "all"}
does: the first four tokens of an answer are drawn without the mark, and so is every token whose four
predecessors were together in the prompt or in the answer before.

Only candidates that can win are hashed. The noise is at most MOST_NOISE, so a candidate that is further
below the best one so far loses whatever its noise is: the result is the same as from hashing them all.
"""

from contextlib import suppress
from typing import Any

import numpy as np
import torch
from numba import njit, types, uint64
from numpy.typing import NDArray
from vllm.v1.sample.ops.topk_topp_sampler import TopKTopPSampler, apply_top_k_top_p

REQUEST_FIELD = "watermarking"  # in `vllm_xargs`: 0 for an answer without the mark
UNKNOWN_SAMPLER = (
    "This vLLM doesn't draw tokens as engine/extensions/polyscribe_watermark.py expects. "
    "Unset WATERMARK_KEYS to start it without the watermark."
)
CONTEXT_TOKENS = 4
HISTORY_TOKENS = 8192  # vLLM's default for deduplicate_contexts_max_history
LEAST_TEMPERATURE = 1e-5  # below it vLLM's sampler is greedy
# The largest uniform number is 1 - 2**-24, and -log(-log(u)) of it 16.6355.
MOST_NOISE = 16.64
LOG_2 = 0.6931472
FLOAT32_BIAS = 127
# Candidates that are this close to the best logit are hashed first: one of them usually wins.
CLOSE = 4.0

MASK = 0xFFFFFFFF
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
CONTEXT_DOMAIN = 0x574D4358
TOKEN_DOMAIN = 0x574D544B


@njit
def philox(counter, key):
    """Return the four words of Philox4x32-10; all values are uint64 below 2**32."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        product0 = uint64(MULTIPLIERS[0]) * c0
        product1 = uint64(MULTIPLIERS[1]) * c2
        c0 = (product1 >> uint64(32)) ^ c1 ^ k0
        c1 = product1 & uint64(MASK)
        c2 = (product0 >> uint64(32)) ^ c3 ^ k1
        c3 = product0 & uint64(MASK)
        k0 = (k0 + uint64(KEY_STEPS[0])) & uint64(MASK)
        k1 = (k1 + uint64(KEY_STEPS[1])) & uint64(MASK)
    return c0, c1, c2, c3


@njit
def hash_context(context, key):
    """Return what the context's four tokens contribute to each candidate's word."""
    mask = uint64(MASK)
    first = uint64(CONTEXT_DOMAIN) ^ (uint64(context[0]) & mask)
    second = uint64(CONTEXT_TOKENS) ^ (uint64(context[1]) & mask)
    return philox((first, second, uint64(context[2]) & mask, uint64(context[3]) & mask), key)


@njit
def hash_candidate(token, state, key):
    """Return a candidate's word, of which the upper 24 bits count."""
    counter = (uint64(token) >> uint64(2), state[0], state[1], state[2])
    words = philox(counter, (key[0] ^ state[3], key[1] ^ uint64(TOKEN_DOMAIN)))
    which = token & 3
    first = words[0] if which == 0 else words[1]
    second = words[2] if which == 2 else words[3]
    return first if which < 2 else second


@njit
def noise_of(bits):
    """Return the Gumbel noise of a word's upper 24 bits, from its uniform number as vLLM rounds that."""
    uniform = np.float32((np.float64(bits) + 1.0) / (2**24 + 1))
    return -np.log(-np.log(np.float64(uniform)))


@njit
def is_repeated(tokens, total):
    """Return whether the last four of `total` tokens stood together before, with a token after them."""
    a, b, c, d = tokens[total - 4], tokens[total - 3], tokens[total - 2], tokens[total - 1]
    for place in range(max(CONTEXT_TOKENS, total - HISTORY_TOKENS), total):
        if (
            tokens[place - 1] == d
            and tokens[place - 2] == c
            and tokens[place - 3] == b
            and tokens[place - 4] == a
        ):
            return True
    return False


@njit
def collect(logits, least, near):
    """Write to `near` the candidates with at least such a logit, and return how many there are."""
    count = 0
    for token in range(logits.size):
        near[count] = token  # without a branch: most pages of a vocabulary hold both kinds
        count += logits[token] >= least
    return count


@njit
def best_of(logits, near, state, key):
    """Return the candidate in `near` whose noised logit is largest, and that value."""
    best = 0
    value = -np.inf
    # How far a word is from the largest one, in 24 bits: a float's exponent is the length of such a number.
    distances = np.empty(near.size, np.float32)
    for place in range(near.size):
        word = hash_candidate(near[place], state, key)
        distances[place] = np.float32(uint64(2**24) - (word >> uint64(8)))
    exponents = distances.view(np.int32) >> 23
    for place in range(near.size):
        token = near[place]
        # The noise is at most -log(1 - u), and this is not less: hardly any candidate needs its logarithms.
        most_noise = (FLOAT32_BIAS + 24 - exponents[place]) * LOG_2
        if logits[token] + most_noise < value:
            continue
        its_value = logits[token] + noise_of(2**24 - np.int64(distances[place]))
        if its_value > value:
            value = its_value
            best = token
    return best, value


@njit
def draw_row(logits, most, state, key, near):
    """Return the candidate with the largest noised logit, where the largest without noise is `most`.

    `near` is space for one number more than there are logits.
    """
    _, value = best_of(logits, near[: collect(logits, most - CLOSE, near)], state, key)
    best, _ = best_of(logits, near[: collect(logits, value - MOST_NOISE, near)], state, key)
    return best


@njit
def draw_marked(logits, most, batch, key, drawn):
    """Write to `drawn` the next tokens of the rows that are to be marked.

    `batch` is these rows, each row's prompt and answer as tokens, and the lengths of the prompts and of both.
    """
    rows, tokens, prompts, totals = batch
    near = np.empty(logits.shape[1] + 1, np.int32)
    for row in rows:
        total = totals[row]
        if total - prompts[row] < CONTEXT_TOKENS or is_repeated(tokens[row], total):
            continue
        state = hash_context(tokens[row, total - CONTEXT_TOKENS : total], key)
        drawn[row] = draw_row(logits[row], most[row], state, key, near)


ROWS = types.int64[::1]
TOKENS = types.int32[:, ::1]
LENGTHS = types.int32[::1]

with suppress(RuntimeError):  # no folder to keep the machine code in: then each start compiles it
    draw_marked.enable_caching()
draw_marked.compile(
    types.void(
        types.float32[:, ::1],
        types.float32[::1],
        types.Tuple((ROWS, TOKENS, LENGTHS, LENGTHS)),
        types.UniTuple(types.uint64, 2),
        types.int64[::1],
    )
)
draw_marked.disable_compile()


class MarkingSampler:
    """Draws tokens with the mark, instead of vLLM's sampler, where a request doesn't decline it."""

    def __init__(self, runner: Any, key: int) -> None:
        """Raises RuntimeError where vLLM has changed what this relies on."""
        sampler = runner.sampler.topk_topp_sampler
        if not is_known(runner, sampler):
            raise RuntimeError(UNKNOWN_SAMPLER)
        self._runner = runner
        self._draw_unmarked = sampler.forward
        self._key = (key & MASK, key >> 32)

    def __call__(
        self,
        logits: torch.Tensor,
        generators: dict[int, torch.Generator],
        k: torch.Tensor | None,
        p: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return each row's token, as vLLM's sampler does; logits are after temperature and processors."""
        rows = self._rows_to_mark()
        if not rows.size:
            return self._draw_unmarked(logits, generators, k, p)
        logits = apply_top_k_top_p(logits, k, p).to(torch.float32).contiguous()
        drawn = self._draw_marked(logits, rows)
        others = np.flatnonzero(drawn < 0)
        if others.size:
            drawn[others] = self._draw_others(logits, others, generators)
        return torch.from_numpy(drawn), None

    def _rows_to_mark(self) -> NDArray[np.int64]:
        batch = self._runner.input_batch
        rows = []
        for row, request_id in enumerate(batch.req_ids):
            parameters = self._runner.requests[request_id].sampling_params
            if batch.temperature_cpu[row] >= LEAST_TEMPERATURE and wants_mark(parameters.extra_args):
                rows.append(row)
        return np.array(rows, np.int64)

    def _draw_marked(self, logits: torch.Tensor, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the tokens of the rows that get a marked one, and -1 for all others."""
        batch = self._runner.input_batch
        drawn = np.full(len(logits), -1, np.int64)
        marked = (rows, batch.token_ids_cpu, batch.num_prompt_tokens, batch.num_tokens_no_spec)
        draw_marked(logits.numpy(), logits.amax(dim=1).numpy(), marked, self._key, drawn)
        return drawn

    def _draw_others(
        self, logits: torch.Tensor, rows: NDArray[np.int64], generators: dict[int, torch.Generator]
    ) -> NDArray[np.int64]:
        """Return tokens that vLLM's own sampler draws for these rows, of whose seeds it goes on."""
        own = {place: generators[row] for place, row in enumerate(rows.tolist()) if row in generators}
        tokens, _ = self._draw_unmarked(logits[torch.from_numpy(rows)], own, None, None)
        return tokens.numpy()


def wants_mark(extra: dict[str, Any] | None) -> bool:
    """Return whether a request's `vllm_xargs` leave the mark on."""
    return bool((extra or {}).get(REQUEST_FIELD, 1))


def is_known(runner: Any, sampler: Any) -> bool:
    """Return whether the sampler can be replaced, and every token is on this machine when the next is drawn.

    Asynchronous scheduling has -1 in the place of tokens that are on their way; a draft model's tokens are
    not drawn here; and processed log probabilities would have to be made here, too.
    """
    batch = runner.input_batch
    has_all_tokens = not runner.use_async_scheduling and runner.speculative_config is None
    is_plain = not sampler.use_fp64_gumbel and sampler.logprobs_mode.startswith("raw")
    is_cpu = type(sampler) is TopKTopPSampler and sampler.forward == sampler.forward_cpu
    kinds = [batch.token_ids_cpu, batch.num_prompt_tokens, batch.num_tokens_no_spec]
    return has_all_tokens and is_plain and is_cpu and all(each.dtype == np.int32 for each in kinds)
