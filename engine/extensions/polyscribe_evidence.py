"""Say of a marked answer that its mark is faint: a detector would hardly find it.

vLLM's API server has an answer's tokens, and with the key vLLM's own detector tells at the answer's end how
much evidence they hold: the noise of each draw, not an estimate. A faint answer says so in `stop_reason`,
which passes through vLLM's server as it is; the gateway takes the word out (inference/proxy).
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

WATERMARK = "POLYSCRIBE_WATERMARK"  # engine/serve.py sets it to EPOCH:KEY
OPTIONS_FILE = "POLYSCRIBE_OPTIONS_FILE"  # has the key for a GPU, until polyscribe_guard.py removes it
FAINT = "polyscribe-faint:"  # before the stop text that vLLM has there, if any
REFUSED = "polyscribe:"  # so begins what polyscribe_grammars.py says there
# The site's detector finds what has 1e-4 at most, and multiplies by the number of its keys, of which only one
# is known here (provenance/watermark/detector.py).
MOST_P_VALUE = 1e-5
LEAST_TEMPERATURE = 1e-5  # below it nothing is drawn


def install() -> None:
    """Have vLLM's API server look at each answer's end. Raises where vLLM has no such names."""
    key = read_key()
    if key is None:
        return
    from vllm.v1.engine.output_processor import RequestState  # noqa: PLC0415 (no key, no imports)
    from vllm.v1.watermarking import GumbelWatermarkDetector  # noqa: PLC0415

    detector = GumbelWatermarkDetector(key, deduplicate_contexts=True)
    make_output = _with_evidence(RequestState.make_request_output, detector)
    RequestState.make_request_output = make_output  # type: ignore[method-assign]


def read_key() -> int | None:
    """Return the key that this engine marks with, or None."""
    if key := os.environ.get(WATERMARK, "").partition(":")[2]:
        return int(key, 16)
    file = os.environ.get(OPTIONS_FILE)
    return int(json.loads(Path(file).read_text())["watermark-config"]["key"]) if file else None


def _with_evidence(original: Callable[..., Any], detector: Any) -> Callable[..., Any]:
    def make_request_output(
        self: Any,
        new_token_ids: list[int],
        pooling_output: Any,
        finish_reason: Any,
        stop_reason: int | str | None,
        *others: Any,
        **keywords: Any,
    ) -> Any:
        if finish_reason is not None and (self.temperature or 0) >= LEAST_TEMPERATURE:
            stop_reason = describe_evidence(detector, self.detokenizer.output_token_ids, stop_reason)
        return original(self, new_token_ids, pooling_output, finish_reason, stop_reason, *others, **keywords)

    return make_request_output


def describe_evidence(detector: Any, token_ids: list[int], stop_reason: int | str | None) -> int | str | None:
    """Return the `stop_reason` of an answer: with FAINT before it where there is too little of the mark."""
    is_text = isinstance(stop_reason, str)
    if is_text and stop_reason.startswith(REFUSED):
        return stop_reason
    if detector.detect(list(token_ids)).p_value <= MOST_P_VALUE:
        return stop_reason
    return f"{FAINT}{stop_reason}" if is_text else FAINT
