"""Try the engine's polyscribe_scheduler.py on a clock of its own: on vLLM's own scheduler, without a model.

    try_turns.py     prints as JSON when a newcomer's first token came, for each attack by eight pools

A step takes what it takes on two cores in quiet (decision 74): 30 ms, and 1.2 ms for each token. Every step's
output goes through vLLM's own bookkeeping, so its assertions hold. Run it with the engine's Python.
"""

import itertools
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

ENGINE = Path(__file__).resolve().parents[2] / "engine"
sys.path += [str(ENGINE), str(ENGINE / "extensions")]
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import serve
import torch
from polyscribe_scheduler import FairScheduler
from vllm.config import LoRAConfig
from vllm.engine.arg_utils import EngineArgs
from vllm.lora.request import LoRARequest
from vllm.sampling_params import SamplingParams
from vllm.utils.hashing import sha256
from vllm.v1.core.kv_cache_utils import get_request_block_hasher, init_none_hash
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec
from vllm.v1.outputs import ModelRunnerOutput
from vllm.v1.request import Request
from vllm.v1.structured_output import StructuredOutputManager

SEATS, SLOTS, POOLS, BLOCK = 8, 8, 8, 128
STEP_S, TOKEN_S = 0.03, 0.0012
SLOW = 20  # times longer steps, of a busy machine
SETTLING_S, WATCHED_S, EVERY_S = 15.0, 90.0, 5.0


@dataclass
class World:
    """One scheduler, its clock, and what became of the requests."""

    scheduler: Scheduler
    now_s: float = 1000.0
    asked_s: dict[str, float] = field(default_factory=dict)
    first_token_s: dict[str, float] = field(default_factory=dict)
    last_token_s: dict[str, float] = field(default_factory=dict)
    slowness: float = 1.0
    longest_gap_s: float = 0.0
    written: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    numbers: itertools.count = field(default_factory=itertools.count)

    def ask(self, pool: str, *, prompt: int, tokens: int, adapter: int = 0, weight: int = 1) -> str:
        name = f"{pool}-{next(self.numbers)}"
        lora = LoRARequest(f"style-{adapter}", adapter, "/nowhere") if adapter else None
        parameters = SamplingParams(
            max_tokens=tokens, ignore_eos=True, extra_args={"pool": pool, "weight": weight}
        )
        start = 10 + next(self.numbers)
        request = Request(
            request_id=name,
            prompt_token_ids=[start + index for index in range(prompt)],
            sampling_params=parameters,
            pooling_params=None,
            lora_request=lora,
            arrival_time=self.now_s,
            block_hasher=get_request_block_hasher(BLOCK, sha256),
        )
        self.asked_s[name] = self.now_s
        self.scheduler.add_request(request)
        return name

    def step(self) -> None:
        with mock.patch("time.monotonic", return_value=self.now_s):
            output = self.scheduler.schedule()
        scheduled = output.num_scheduled_tokens
        if not scheduled:
            assert not self.scheduler.requests, "vLLM has requests and works on none"
            self.now_s += 0.05
            return
        self.now_s += self.slowness * (STEP_S + TOKEN_S * output.total_num_scheduled_tokens)
        names = list(scheduled)
        sampled = []
        for name in names:
            request = self.scheduler.requests[name]
            is_done = request.num_computed_tokens >= request.num_tokens
            sampled.append([7] if is_done else [])
            if is_done:
                self._note_token(name)
        index = {name: at for at, name in enumerate(names)}
        self.scheduler.update_from_output(
            output, ModelRunnerOutput(req_ids=names, req_id_to_index=index, sampled_token_ids=sampled)
        )
        for name in names:
            if name not in self.scheduler.requests:
                self.ended.add(name)

    def _note_token(self, name: str) -> None:
        self.first_token_s.setdefault(name, self.now_s - self.asked_s[name])
        gap_s = self.now_s - self.last_token_s.get(name, self.now_s)
        self.longest_gap_s = max(self.longest_gap_s, gap_s)
        self.last_token_s[name] = self.now_s
        self.written[name] = self.written.get(name, 0) + 1


def make_scheduler(kind: type[Scheduler]) -> Scheduler:
    """Return vLLM's scheduler, or ours, as engine/serve.py starts it on a CPU."""
    settings = serve.read_settings(os.environ | {"ENGINE_MAX_NUM_SEQS": str(SEATS), "ENGINE_DEVICE": "cpu"})
    arguments = EngineArgs(
        model=str(settings.base_model_dir),
        dtype="float32",
        max_model_len=2048,
        max_num_seqs=SEATS,
        max_num_batched_tokens=serve.step_tokens(settings),
        scheduling_policy="priority",
        enable_prefix_caching=True,
        block_size=BLOCK,
    )
    config = arguments.create_engine_config()
    config.lora_config = LoRAConfig(max_loras=SLOTS, max_cpu_loras=64, max_lora_rank=16)
    config.cache_config.num_gpu_blocks = 360
    init_none_hash(sha256)
    spec = FullAttentionSpec(block_size=BLOCK, num_kv_heads=3, head_size=64, dtype=torch.float32)
    cache = KVCacheConfig(
        num_blocks=360, kv_cache_tensors=[], kv_cache_groups=[KVCacheGroupSpec(["layer"], spec)]
    )
    return kind(
        vllm_config=config,
        kv_cache_config=cache,
        structured_output_manager=StructuredOutputManager(config),
        block_size=BLOCK,
        log_stats=False,
    )


ATTACKS = {
    "four long sequences each": {"number": 4, "prompt": 40, "tokens": 480},
    "sixteen sequences each": {"number": 16, "prompt": 40, "tokens": 480},
    "one long sequence each": {"number": 1, "prompt": 40, "tokens": 480},
    "long prompts": {"number": 2, "prompt": 1900, "tokens": 100},
    "sixteen pools": {"number": 1, "prompt": 40, "tokens": 480, "pools": 16},
    "a style each": {"number": 2, "prompt": 40, "tokens": 480, "own_style": True},
    "four long sequences each, on a slow machine": {
        "number": 4,
        "prompt": 40,
        "tokens": 480,
        "slowness": SLOW,
    },
    "long prompts in a style each": {"number": 2, "prompt": 1900, "tokens": 100, "own_style": True},
}


def play(
    kind: type[Scheduler],
    *,
    number: int,
    prompt: int,
    tokens: int,
    own_style: bool = False,
    pools: int = POOLS,
    slowness: float = 1.0,
) -> dict:
    """Keep eight pools busy; return the waits of a newcomer that sends a request now and then."""
    world = World(make_scheduler(kind), slowness=slowness)
    open_by_pool: dict[int, set[str]] = {pool: set() for pool in range(pools)}
    newcomers = []
    next_s = world.now_s + SETTLING_S * slowness
    until_s = next_s + WATCHED_S * slowness
    while world.now_s < until_s or any(name not in world.first_token_s for name in newcomers):
        for pool, names in open_by_pool.items():
            names.difference_update(world.ended)
            while len(names) < number and world.now_s < until_s:
                adapter = pool + 1 if own_style else 1
                names.add(world.ask(f"pool{pool}", prompt=prompt, tokens=tokens, adapter=adapter))
        if next_s <= world.now_s < until_s:
            newcomers.append(world.ask(f"new{len(newcomers)}", prompt=40, tokens=4, adapter=99))
            next_s += EVERY_S * slowness
        world.step()
        if world.now_s > until_s + 300 * slowness:
            break
    times_s = [world.first_token_s.get(name, 999.0) for name in newcomers]
    by_pool: dict[str, int] = {}
    for name, count in world.written.items():
        by_pool[name.split("-")[0]] = by_pool.get(name.split("-")[0], 0) + count
    written = [count for pool, count in by_pool.items() if pool.startswith("pool")]
    return {
        "median_s": round(sorted(times_s)[len(times_s) // 2], 2),
        "worst_s": round(max(times_s), 2),
        "longest_gap_s": round(world.longest_gap_s, 2),
        "ended": len(world.ended),
        "tokens_a_s": round(sum(world.written.values()) / (world.now_s - 1000.0), 1),
        "fewest_and_most_tokens_of_a_pool": [min(written, default=0), max(written, default=0)],
    }


def main() -> None:
    kinds = {"vllm": Scheduler, "ours": FairScheduler}
    found = {
        attack: {name: play(kind, **facts) for name, kind in kinds.items()}
        for attack, facts in ATTACKS.items()
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
