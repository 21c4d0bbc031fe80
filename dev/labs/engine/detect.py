"""Say what vLLM's own detector finds, to compare provenance/watermark/ with it.

    detect.py    reads JSON [[key, tokens], …], prints [[score, p-value, number of scored tokens], …]

Run it with the engine environment's Python.
"""

import json
import sys

from vllm.v1.watermarking import GumbelWatermarkDetector

found = []
for key, tokens in json.load(sys.stdin):
    detection = GumbelWatermarkDetector(key, deduplicate_contexts=True).detect(tokens)
    found.append([detection.score, detection.p_value, detection.num_scored_tokens])
json.dump(found, sys.stdout)
