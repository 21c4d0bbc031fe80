"""What following a grammar in another process costs, beside vLLM's own way, token by token in one run.

    .venv-engine/bin/python engine/grammar_cost.py [FILE]      FILE gets the figures as JSON

vLLM's own way accepts a token and fills the next mask in the engine's process after each step. With a process
of its own the engine sends the token, computes its step, and then reads the mask. The step is a pause here,
for both. In microseconds: how long the engine is kept (the median), and processor time (the mean).
"""

import importlib.metadata
import json
import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import xgrammar
from transformers import AutoTokenizer

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "engine" / "extensions"))

from grammar_processes import Budget, Grammars, Limits, Sequence, wait_for_steps  # noqa: E402

MODEL = Path(os.environ.get("BASE_MODEL_DIR") or ROOT / "var/models/SmolLM2-135M-Instruct")
STEP_S = 0.005
TOKENS = 300
TEXT = {"type": "string"}
LINE = {"type": "object", "properties": {"name": TEXT, "count": {"type": "integer"}}}
SCHEMAS: dict[str, Any] = {
    "person": {
        "type": "object",
        "properties": {"name": TEXT, "age": {"type": "integer"}},
        "required": ["name"],
    },
    "order": {
        "type": "object",
        "properties": {
            "id": {"type": "string", "pattern": "^[A-Z]{2}[0-9]{6}$"},
            "lines": {"type": "array", "items": LINE},
            "state": {"enum": ["new", "paid", "sent"]},
        },
        "required": ["id", "lines", "state"],
    },
}


def measure(schema: dict[str, Any], info: xgrammar.TokenizerInfo, grammars: Grammars) -> dict[str, float]:
    """Follow one schema both ways at once, by the same tokens."""
    text = json.dumps(schema)
    compiler = xgrammar.GrammarCompiler(info, max_threads=1)
    began_s = time.process_time()
    compiled = compiler.compile_json_schema(text)
    compile_s = time.process_time() - began_s
    matcher = xgrammar.GrammarMatcher(compiled, override_stop_tokens=[2])
    mask = xgrammar.allocate_token_bitmask(1, info.vocab_size)
    opened_s = []
    for _ in range(20):
        began_s = time.perf_counter()
        process = grammars.open("json", text, whitespace="any", stop_token_ids=[2])
        opened_s.append(time.perf_counter() - began_s)
    sequence = Sequence(process, Budget(grammars.limits), grammars.limits)
    chance = np.random.default_rng(1)
    own, ours, own_cpu, ours_cpu = [], [], [], []
    used_s = process.used_s()
    matcher.fill_next_token_bitmask(mask, 0)
    for _ in range(TOKENS):
        allowed = np.nonzero(np.unpackbits(mask.numpy().view(np.uint8), bitorder="little"))[0]
        token = int(chance.choice(allowed[allowed != 2])) if len(allowed) > 1 else int(allowed[0])
        time.sleep(STEP_S)
        began_s, began_cpu_s = time.perf_counter(), time.thread_time()
        matcher.accept_token(token)
        if matcher.is_terminated():
            break
        matcher.fill_next_token_bitmask(mask, 0)
        own.append(time.perf_counter() - began_s)
        own_cpu.append(time.thread_time() - began_cpu_s)
        began_s, began_cpu_s = time.perf_counter(), time.thread_time()
        sequence.accept([token])
        sent_s = time.perf_counter() - began_s
        time.sleep(STEP_S)
        began_s = time.perf_counter()
        wait_for_steps([sequence])
        ours_cpu.append(time.thread_time() - began_cpu_s)
        ours.append(sent_s + time.perf_counter() - began_s)
        assert sequence.mask is not None
        assert torch.equal(torch.from_numpy(sequence.mask.copy()), mask[0])
    sequence.close()
    return {
        "tokens": len(own),
        "vllms_own_way_us": round(median(own) * 1e6, 1),
        "own_process_us": round(median(ours) * 1e6, 1),
        "vllms_own_way_processor_us": round(sum(own_cpu) / len(own) * 1e6, 1),
        "own_process_engines_processor_us": round(sum(ours_cpu) / len(own) * 1e6, 1),
        "own_process_processor_us": round((process.used_s() - used_s) / len(own) * 1e6, 1),
        "compile_processor_ms": round(compile_s * 1e3, 1),
        "open_known_grammar_ms": round(median(opened_s) * 1e3, 2),
    }


def main() -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=len(tokenizer))
    grammars = Grammars(info.serialize_json(), Limits(last_step_wall_s=30.0))
    figures = {name: measure(schema, info, grammars) for name, schema in SCHEMAS.items()}
    grammars.close()
    facts = {
        "how": ".venv-engine/bin/python engine/grammar_cost.py",
        "cores": os.cpu_count(),
        "machine_load": round(os.getloadavg()[0], 1),
        "xgrammar": importlib.metadata.version("xgrammar"),
        "vocabulary": info.vocab_size,
        "figures": figures,
    }
    print(json.dumps(facts, indent=2))
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
