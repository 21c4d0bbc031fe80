"""vLLM's own `vllm bench serve`: what measures an engine, or the gateway in front of it."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from stack import engine
from stack.environment import base_model_folder

# One process for all passes: vLLM's imports take longer than most of them. The `vllm` command itself fails in
# the CPU package.
PROGRAM = """
import json, os, sys
from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
add_cli_args(parser)
for line in sys.stdin:
    asked = json.loads(line)
    os.environ["OPENAI_API_KEY"] = asked["key"]
    main(parser.parse_args(asked["words"]))
    print("PASSED", flush=True)
"""


@dataclass(frozen=True)
class Size:
    """How much one pass asks."""

    prompt_tokens: int
    tokens: int  # of an answer
    requests: int
    at_once: int


class BenchServe:
    """A process that runs `vllm bench serve` for each pass. `folder` gets its results and its errors."""

    def __init__(self, folder: Path) -> None:
        self._results = folder
        self._process = subprocess.Popen(
            [str(engine.PYTHON), "-c", PROGRAM],
            env={**os.environ, "OPENAI_API_KEY": "-", "HF_HUB_OFFLINE": "1", "PYTHONSAFEPATH": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "errors").open("w"),
            text=True,
        )

    def measure(self, url: str, models: list[str], size: Size, *, key: str = "-") -> dict[str, float]:
        """Return what vLLM says of one pass, whose requests name the models in turn.

        Raises SystemExit where a request failed.
        """
        options = {
            "backend": "openai-chat",
            "endpoint": "/v1/chat/completions",
            "base-url": url,
            "model": models[0],
            "tokenizer": str(base_model_folder()),
            "lora-assignment": "round-robin",
            "temperature": "0",
            "dataset-name": "random",
            "random-input-len": str(size.prompt_tokens),
            "random-output-len": str(size.tokens),
            "num-prompts": str(size.requests),
            "max-concurrency": str(size.at_once),
            "seed": str(int.from_bytes(os.urandom(4)) >> 1),  # no prompt that the prefix cache knows
            "percentile-metrics": "ttft",
            "result-dir": str(self._results),
            "result-filename": "found.json",
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        words += ["--ignore-eos", "--save-result", "--disable-tqdm", "--lora-modules", *models]
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps({"key": key, "words": words}), file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line == "PASSED\n":
                break
        else:
            raise SystemExit(f"✗ {url}: {(self._results / 'errors').read_text().strip()[-600:]}")
        found: dict[str, float] = json.loads((self._results / "found.json").read_text())
        if found["completed"] != size.requests:
            raise SystemExit(f"✗ {url}: {found['completed']} of {size.requests} requests were answered.")
        return found
