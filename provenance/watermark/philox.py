"""Keyed noise of tokens, bit-equal to vLLM's Philox4x32-10.

Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (https://doi.org/10.1145/2063384.2063405),
and the words that vLLM puts in (`vllm/v1/watermarking/prfs/philox.py`).
"""

import numpy as np
from numpy.typing import NDArray

CONTEXT_TOKENS = 4  # engine/serve.py's context_width
ROUNDS = 10
MASK = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
CONTEXT_DOMAIN = 0x574D4358
TOKEN_DOMAIN = 0x574D544B

type Words = NDArray[np.uint64]
type Block = tuple[Words, Words, Words, Words]


def draw_uniform(key: int, contexts: NDArray[np.int64], tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return a number between 0 and 1 for each token after its context.

    `contexts` has a row of four tokens for each of `tokens`; -1 stands for what is before the first one.
    """
    words = contexts.astype(np.uint64) & MASK
    key_words = (np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32))
    state = _philox(
        (
            words[:, 0] ^ np.uint64(CONTEXT_DOMAIN),
            words[:, 1] ^ np.uint64(CONTEXT_TOKENS),
            words[:, 2],
            words[:, 3],
        ),
        (np.full(len(words), key_words[0]), np.full(len(words), key_words[1])),
    )
    token_words = tokens.astype(np.uint64) & MASK
    outputs = _philox(
        (token_words >> np.uint64(2), state[0], state[1], state[2]),
        (key_words[0] ^ state[3], np.full(len(words), key_words[1] ^ np.uint64(TOKEN_DOMAIN))),
    )
    chosen = np.choose((token_words & np.uint64(3)).astype(np.intp), outputs)
    return (((chosen >> np.uint64(8)).astype(np.float64) + 1.0) / (2**24 + 1)).astype(np.float32)


def _philox(counter: Block, key: tuple[Words, Words]) -> Block:
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        product0 = c0 * MULTIPLIERS[0]
        product1 = c2 * MULTIPLIERS[1]
        c0 = (product1 >> HALF) ^ c1 ^ k0
        c1 = product1 & MASK
        c2 = (product0 >> HALF) ^ c3 ^ k1
        c3 = product0 & MASK
        k0 = (k0 + np.uint64(KEY_STEPS[0])) & MASK
        k1 = (k1 + np.uint64(KEY_STEPS[1])) & MASK
    return c0, c1, c2, c3
