"""llama.cpp's server with the same base and adapters, converted by its own scripts.

LLAMA_CPP names a folder with llama.cpp's sources in which `llama-server` was built (cmake -B build, then
cmake --build build --target llama-server). Without it, the bench leaves this way out.
"""

import json
import os
import random
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import httpx

from bench.bench_serve import Size
from stack import engine
from stack.environment import base_model_folder
from stack.ports import Ports

# Without a list, a request gets all adapters of the server.
BASE = [{"id": 0, "scale": 0.0}]
TYPES = {"bfloat16": "bf16", "float32": "f32"}
CONTEXT = 1280  # of each client: the longest prompt and its answer
STARTING_S = 120
# Token ids of ordinary words in the demo's vocabulary.
FIRST_ID, LAST_ID = 1_000, 40_000


def convert(sources: Path, adapters: list[Path], folder: Path) -> tuple[Path, list[Path]]:
    """Return the converted base and adapters. Raises CalledProcessError."""
    base = folder / "base.gguf"
    kind = TYPES[os.environ["ENGINE_DTYPE"]]
    _run(sources, "convert_hf_to_gguf.py", str(base_model_folder()), "--outtype", kind, "--outfile", base)
    converted = []
    for adapter in adapters:
        converted.append(folder / f"{adapter.name}.gguf")
        words = ("--base", str(base_model_folder()), "--outtype", "f32", "--outfile", converted[-1])
        _run(sources, "convert_lora_to_gguf.py", *words, adapter)
    return base, converted


def _run(sources: Path, script: str, *words: str | Path) -> None:
    variables = {**os.environ, "PYTHONPATH": str(sources / "gguf-py")}
    subprocess.run([engine.PYTHON, sources / script, *words], env=variables, check=True, capture_output=True)


@contextmanager
def serving(sources: Path, base: Path, adapters: list[Path], *, clients: int) -> Iterator[str]:
    """Yield the address of a server with all adapters, each applied where a request asks for it."""
    port = Ports().take("llama")
    command: list[str | Path] = [sources / "build/bin/llama-server", "--model", base, "--port", str(port)]
    command += ["--parallel", str(clients), "--ctx-size", str(clients * CONTEXT), "--lora-init-without-apply"]
    command += ["--threads", str(os.cpu_count()), "--no-webui"]
    for adapter in adapters:
        command += ["--lora", adapter]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        ends_s = time.monotonic() + STARTING_S
        while not _is_ready(url):
            if process.poll() is not None or time.monotonic() > ends_s:
                raise SystemExit(f"✗ llama-server did not start (exit {process.poll()}).")
            time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def measure(url: str, styles: Sequence[int | None], size: Size) -> dict[str, float]:
    """Return the same figures as `vllm bench serve`; requests ask for the styles (None: the base) in turn."""
    began_s = time.perf_counter()
    # The server closes a connection after each stream, without saying so.
    anew = httpx.Limits(max_keepalive_connections=0)
    with (
        httpx.Client(base_url=url, timeout=600, limits=anew) as client,
        ThreadPoolExecutor(size.at_once) as pool,
    ):

        def ask(number: int) -> float:
            style = styles[number % len(styles)]
            return _first_token_s(client, style, size)

        first_s = sorted(pool.map(ask, range(size.requests)))
    seconds = time.perf_counter() - began_s
    return {
        "output_throughput": size.requests * size.tokens / seconds,
        "median_ttft_ms": 1000 * median(first_s),
        "p99_ttft_ms": 1000 * quantiles(first_s, n=100, method="inclusive")[-1],
    }


def _first_token_s(client: httpx.Client, style: int | None, size: Size) -> float:
    """Ask once, and return the seconds to the first token."""
    body = {
        "prompt": random.choices(range(FIRST_ID, LAST_ID), k=size.prompt_tokens),
        "n_predict": size.tokens,
        "ignore_eos": True,
        "temperature": 0,
        "stream": True,
        "cache_prompt": False,
        "lora": BASE if style is None else [{"id": style, "scale": 1.0}],
    }
    began_s = time.perf_counter()
    first_s = 0.0
    predicted = 0
    with client.stream("POST", "/completion", json=body) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            if line.startswith("data: "):
                first_s = first_s or time.perf_counter() - began_s
                predicted = json.loads(line.removeprefix("data: ")).get("tokens_predicted", predicted)
    if predicted != size.tokens:
        raise SystemExit(f"✗ llama-server wrote {predicted} of {size.tokens} tokens.")
    return first_s
