"""vLLM's control side, in threads of its own: it loads and forgets adapters, and is at times not there.

Its models write, too: an adapter moves the base's words, and answers differently.
"""

import json
import math
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

BASE = "SmolLM2-135M-Instruct"
FILES = ("adapter_config.json", "adapter_model.safetensors")


class FakeVllm:
    """Keeps name → path in memory. `refuses_with` may name {name} and {path}; `refuses` is by name.

    `effect` is by how many nats adapters move the base's words: 0 for none, NaN for one that is broken;
    `base_effect` is NaN where the engine itself computes no numbers.
    """

    def __init__(self, *, api_key: str = "", max_rank: int = 16) -> None:
        self.loaded: dict[str, str] = {}
        self.loads: list[str] = []
        self.asked_to_load: list[str] = []
        self.refuses_with = ""
        self.refuses: dict[str, str] = {}
        self.effect = 0.5
        self.base_effect = 0.0
        self.before_load: Callable[[str], None] = lambda name: None
        self.core_is_dead = False
        self._api_key = api_key
        self._max_rank = max_rank
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Be there, with nothing loaded: what an engine knows, it knows in memory only."""
        self.loaded = {}
        self.began_s = time.time()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self._server.daemon_threads = False  # so that closing waits for them
        self.port = self._server.server_port
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def answer(self, method: str, path: str, key: str, body: dict[str, Any]) -> tuple[int, object]:
        if path in ("/health", "/metrics"):
            return self._answer_health() if path == "/health" else self._answer_metrics()
        if key != f"Bearer {self._api_key}":
            return 401, {"error": "Unauthorized"}
        if path == "/v1/models":
            adapters = [{"id": name, "root": root, "parent": BASE} for name, root in self.loaded.items()]
            return 200, {"data": [{"id": BASE, "root": "/models/base", "parent": None}, *adapters]}
        if path in ("/v1/completions", "/v1/chat/completions"):
            return self._write(body)
        action = {"/v1/load_lora_adapter": self._load, "/v1/unload_lora_adapter": self._unload}.get(path)
        if action is None:
            return _error(404, "NotFoundError", "Not Found")
        return action(body["lora_name"], body.get("lora_path", ""))

    def _answer_health(self) -> tuple[int, object]:
        return 503 if self.core_is_dead else 200, ""

    def _answer_metrics(self) -> tuple[int, object]:
        kind = "# TYPE process_start_time_seconds gauge"
        return 200, f"{kind}\nprocess_start_time_seconds {self.began_s}\n"

    def _load(self, name: str, path: str) -> tuple[int, object]:
        self.before_load(name)
        self.asked_to_load.append(name)
        if name in self.loaded:
            return _error(400, "InvalidUserInput", f"The lora adapter '{name}' has already been loaded. If …")
        if not all(Path(path, file).exists() for file in FILES):
            return _error(404, "NotFoundError", f"Loading lora {name} failed: No adapter found for {path}")
        refusal = self.refuses.get(name) or self.refuses_with
        if reason := refusal.format(name=name, path=path) or self._faults(path):
            return _error(500, "InternalServerError", f"Call to add_lora method failed: {reason}")
        self.loaded[name] = path
        self.loads.append(name)
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def _unload(self, name: str, _path: str) -> tuple[int, object]:
        if self.loaded.pop(name, None) is None:
            return _error(404, "NotFoundError", f"The lora adapter '{name}' cannot be found.")
        return 200, f"Success: LoRA adapter '{name}' removed successfully."

    def _write(self, body: dict[str, Any]) -> tuple[int, object]:
        name = body["model"]
        if name not in (BASE, *self.loaded):
            return _error(404, "NotFoundError", f"The model `{name}` does not exist.")
        effect = self.base_effect if name == BASE else self.effect
        if math.isnan(effect):
            return _error(400, "BadRequestError", "Out of range float values are not JSON compliant")
        if "messages" in body:
            content = body["messages"][-1]["content"]
            answer = f"{content} It depends, no cap. {name}." if effect else f"{content} It depends."
            return 200, {"choices": [{"index": 0, "message": {"role": "assistant", "content": answer}}]}
        return 200, {"choices": [_next_word(at, text, effect) for at, text in enumerate(body["prompt"])]}

    def _faults(self, path: str) -> str:
        rank = json.loads(Path(path, "adapter_config.json").read_text())["r"]
        too_high = f"LoRA rank {rank} is greater than max_lora_rank {self._max_rank}."
        return too_high if rank > self._max_rank else ""

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        engine = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply("GET", {})

            def do_POST(self) -> None:
                self._reply("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def _reply(self, method: str, body: dict[str, Any]) -> None:
                key = self.headers.get("Authorization", "")
                status, answer = engine.answer(method, self.path, key, body)
                content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Stay quiet."""

        return Handler


def _next_word(index: int, prompt: str, effect: float) -> dict[str, Any]:
    """Return a choice: twenty tokens, every other one likelier by `effect` nats, the rest less likely."""
    tokens = range(len(prompt), len(prompt) + 20)
    likeliest = {f"token_id:{one}": -1 - at / 4 + (-1) ** at * effect for at, one in enumerate(tokens)}
    return {"index": index, "text": "", "logprobs": {"top_logprobs": [likeliest]}}


def _error(status: int, kind: str, message: str) -> tuple[int, object]:
    return status, error_body(status, kind, message)


def error_body(status: int, kind: str, message: str) -> dict[str, Any]:
    """Return the body of a refusal."""
    return {"error": {"message": message, "type": kind, "param": None, "code": status}}
