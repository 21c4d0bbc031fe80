"""A Polyscribe service and its storage in this process: what the client needs of both, and their faults.

Field names and rules are those of the management API; the journey runs the same commands against it.
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx

BASE_URL = "http://polyscribe.test"
STORAGE_URL = "http://storage.test"
API_KEY = "sk-ps-aB3d" + "x" * 28 + "9xYz"
SECRET = "sk-ps-new0" + "y" * 28 + "secr"
PART_BYTES = 1000  # small, so that a small file has many parts
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENDPOINT = {
    "id": str(uuid4()),
    "object": "webhook_endpoint",
    "url": "https://example.com/webhooks",
    "event_types": ["version.serving"],
    "is_enabled": True,
    "disabled_reason": "",
}
STEPS = ("Uploading files", "Uploaded", "Checked", "Pushed to the engine", "Serving")
LOGIN = {
    "object": "login",
    "device_code": "dev-" + "c" * 40,
    "user_code": "BCDF-GHJK",
    "verification_url": f"{BASE_URL}/connect/",
    "verification_url_complete": f"{BASE_URL}/connect/?code=BCDF-GHJK",
    "expires_in_s": 600,
    "interval_s": 3,
}
CURRENT_STEP = {"uploading": 0, "uploaded": 2, "pushing": 3, "serving": 5, "rejected": 2, "failed": 3}

Answer = httpx.Response
CANCELLED = {"code": "cancelled", "sentence": "The upload was cancelled.", "fix": "Upload the adapter again."}


@dataclass
class FakeVersion:
    """A version, and the parts of its files that the storage has."""

    number: int
    files: dict[str, int]
    auto_promote: bool
    id: str = field(default_factory=lambda: str(uuid4()))
    status: str = "uploading"
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    findings: list[dict[str, str]] = field(default_factory=list)
    failure: str = ""

    def missing(self, file: str) -> list[int]:
        count = -(-self.files[file] // PART_BYTES)
        there = self.parts.get(file, {})
        return [number for number in range(1, count + 1) if number not in there]

    def digest(self, file: str) -> str:
        return hashlib.sha256(self.content(file)).hexdigest() if self.status == "serving" else ""

    def content(self, file: str) -> bytes:
        parts = self.parts[file]
        return b"".join(parts[number] for number in sorted(parts))


class FakeService:
    """Answers requests to BASE_URL and STORAGE_URL; `requests` are the first ones as (method, path)."""

    def __init__(self) -> None:
        self.styles: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, list[FakeVersion]] = {}
        self.keys: list[dict[str, Any]] = []
        self.live: dict[str, int] = {}
        self.canary: dict[str, tuple[int, int]] = {}
        self.requests: list[tuple[str, str]] = []
        self.puts: list[tuple[str, int]] = []  # (file, number) of each part that arrived
        self.idempotent: dict[str, Answer] = {}
        self.faults: list[Answer | Exception] = []  # what the next requests get instead
        self.put_faults: list[Answer | Exception] = []
        self.outcome = "serving"  # what becomes of what is finished
        self.findings: list[dict[str, str]] = []
        self.has_events = True
        self.damage = b""  # what the storage adds to what it gives
        self.asked_logins: list[dict[str, Any]] = []
        self.login_states = ["pending", "approved"]
        self.is_interrupted_at_the_end = False
        self.events: list[dict[str, Any]] = []  # oldest first
        self.delivery = {"status": "delivered", "attempts": 1, "status_code": 200, "latency_ms": 84}
        self.deleted_endpoints: list[str] = []
        self.received: list[httpx.Request] = []  # by a receiver of events on this machine
        self.happens: list[Callable[[], None]] = []  # while the client sleeps, one after the other
        self._lock = threading.Lock()

    def sleep(self, _: float) -> None:
        """Let the next thing happen; when all has happened, the person presses Ctrl-C."""
        if self.happens:
            self.happens.pop(0)()
        elif self.is_interrupted_at_the_end:
            raise KeyboardInterrupt

    def receive(self, request: httpx.Request) -> Answer:
        """Take an event as a receiver does that somebody is writing."""
        request.read()
        self.received.append(request)
        return httpx.Response(204)

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._pass_to_answer)

    @property
    def storage_transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._pass_to_store)

    # Looked up at each request, so that a test may put another `answer` or `store` in their place.
    def _pass_to_answer(self, request: httpx.Request) -> Answer:
        return self.answer(request)

    def _pass_to_store(self, request: httpx.Request) -> Answer:
        return self.store(request)

    def newest(self, style: str = "acme/brand-voice") -> FakeVersion:
        return self.versions[style][-1]

    def answer(self, request: httpx.Request) -> Answer:
        """Answer a request to the API."""
        path = request.url.path
        self.requests.append((request.method, path))
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, Exception):
                raise fault
            return fault
        if path.startswith("/api/v1/logins"):
            assert "Authorization" not in request.headers
            return self._answer_login(request, path)
        if request.headers.get("Authorization") not in (f"Bearer {API_KEY}", f"Bearer {SECRET}"):
            return problem(401, "invalid_api_key", "The API key is missing, malformed, expired or revoked.")
        name = request.headers.get("Idempotency-Key", "")
        if request.method == "POST" and name in self.idempotent:
            return self.idempotent[name]
        response = self._route(request, path)
        if request.method == "POST" and name:
            self.idempotent[name] = response
        return response

    def store(self, request: httpx.Request) -> Answer:
        """Take a part, of exactly the length that was signed."""
        body = request.read()
        if request.method == "GET":
            assert "Authorization" not in request.headers
            _, version_id, file, _ = request.url.path.split("/")
            return httpx.Response(200, content=self._version(version_id).content(file) + self.damage)
        with self._lock:
            if self.put_faults:
                fault = self.put_faults.pop(0)
                if isinstance(fault, Exception):
                    raise fault
                return fault
            _, version_id, file, number, size = request.url.path.split("/")
            is_exact = len(body) == int(size) and request.headers.get("Content-Length") == size
            if not is_exact or "Transfer-Encoding" in request.headers:
                return httpx.Response(403)
            version = self._version(version_id)
            version.parts.setdefault(file, {})[int(number)] = body
            self.puts.append((file, int(number)))
            return httpx.Response(200, headers={"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

    def _route(self, request: httpx.Request, path: str) -> Answer:
        if found := re.fullmatch(r"/api/v1/uploads/([0-9a-f-]+)(/\w+)?", path):
            return self._answer_upload(request, self._version(found[1]), found[2] or "")
        if found := re.fullmatch(r"/api/v1/styles/([0-9a-f-]{36}|[\w-]+/[\w-]+)(/.*)?", path):
            by_id = {style["id"]: model for model, style in self.styles.items()}
            return self._answer_style(request, by_id.get(found[1], found[1]), found[2] or "")
        if found := re.fullmatch(r"/api/v1/webhooks/([0-9a-f-]+)(/.+)?", path):
            return self._answer_webhook(request, found[2] or "")
        if path.startswith("/api/v1/keys"):
            return self._answer_keys(request, path)
        fixed = {
            "/v1/key": lambda request: httpx.Response(200, json=KEY),
            "/v1/chat/completions": answer_chat,
            "/api/v1/events": self._answer_events_list,
            "/api/v1/webhooks": self._answer_webhooks,
            "/api/v1/usage": lambda request: httpx.Response(200, json=usage_report(request)),
            "/api/v1/requests": lambda request: httpx.Response(200, json=requests_log(request)),
            "/api/v1/styles": self._answer_styles,
        }
        if path in fixed:
            return fixed[path](request)
        return problem(404, "unknown_url", "No such endpoint.")

    def _answer_styles(self, request: httpx.Request) -> Answer:
        if request.method == "POST":
            body = json.loads(request.read())
            model = f"acme/{body['slug']}"
            self.styles[model] = style_object(model, body["name"])
            self.versions[model] = []
            return httpx.Response(201, json=self.styles[model])
        words = request.url.params.get("search", "")
        rows = [style for style in self.styles.values() if words in style["model"]]
        start = int(request.url.params.get("cursor", "0"))
        end = start + 2  # fewer than were asked for: a client goes by the cursor
        more = str(end) if end < len(rows) else None
        page = {"data": rows[start:end], "has_more": more is not None, "next_cursor": more}
        return httpx.Response(200, json=page)

    def _answer_style(self, request: httpx.Request, model: str, rest: str) -> Answer:
        if model not in self.styles:
            return problem(404, "style_not_found", "There is no such style.")
        if found := re.fullmatch(r"/versions/(\d+)/download", rest):
            return self._answer_download(self.versions[model][int(found[1]) - 1])
        if found := re.fullmatch(r"/versions/(\d+)(/\w+)?", rest):
            if found[2] == "/promote":
                self.live[model] = int(found[1])
            return self._answer_version(model, int(found[1]))
        answers = {
            "": self._answer_one_style,
            "/selection": self._answer_selection,
            "/versions": self._answer_versions,
            "/canary": self._answer_canary,
            "/rollback": self._roll_back,
        }
        return answers[rest](request, model)

    def _answer_one_style(self, request: httpx.Request, model: str) -> Answer:
        if request.method == "PATCH":
            self.styles[model] |= json.loads(request.read())
        if request.method == "DELETE":
            del self.styles[model]
            erasures = [{"id": str(uuid4()), "version": one.number} for one in self.versions[model]]
            return httpx.Response(202, json={"data": erasures})
        return httpx.Response(200, json=self.styles[model] | {"live_version": self.live.get(model)})

    def _answer_selection(self, request: httpx.Request, model: str) -> Answer:
        self.styles[model]["is_selected"] = request.method == "PUT"
        if request.method == "DELETE":
            return httpx.Response(204)
        return httpx.Response(200, json=self.styles[model])

    def _answer_download(self, version: FakeVersion) -> Answer:
        files = [
            {
                "name": name,
                "size_bytes": size_bytes,
                "sha256": version.digest(name),
                "url": f"{STORAGE_URL}/{version.id}/{name}/whole?X-Amz-Signature=secret",
            }
            for name, size_bytes in version.files.items()
        ]
        return httpx.Response(200, json={"object": "download", "files": files, "urls_valid_s": 600})

    def _answer_login(self, request: httpx.Request, path: str) -> Answer:
        """Begin a login; tell its state, which is confirmed after some polls."""
        body = json.loads(request.read())
        if path == "/api/v1/logins":
            self.asked_logins.append(body)
            return httpx.Response(201, json=LOGIN)
        assert body == {"device_code": LOGIN["device_code"]}
        status = self.login_states.pop(0)
        if status == "over":
            return problem(404, "login_not_found", "This login is over.")
        key = {**KEY, "secret": SECRET} if status == "approved" else None
        return httpx.Response(200, json={"object": "login", "status": status, "key": key})

    def _answer_versions(self, request: httpx.Request, model: str) -> Answer:
        if request.method == "POST":
            return self._create_version(model, json.loads(request.read()))
        rows = [self._version_object(model, one) for one in reversed(self.versions[model])]
        return httpx.Response(200, json={"data": rows, "has_more": False, "next_cursor": None})

    def _roll_back(self, request: httpx.Request, model: str) -> Answer:
        self.live[model] -= 1
        return self._answer_version(model, self.live[model])

    def _answer_canary(self, request: httpx.Request, model: str) -> Answer:
        if request.method == "PUT":
            body = json.loads(request.read())
            self.canary[model] = (body["version"], body["percent"])
        if model not in self.canary:
            return problem(404, "no_canary", "This style has no canary.")
        if request.method == "DELETE":
            del self.canary[model]
            return httpx.Response(204)
        number, percent = self.canary[model]
        figures = {"requests": 3, "error_percent": 0.0, "empty_percent": 0.0, "completion_tokens": 30}
        canary = {
            "object": "canary",
            "version": number,
            "percent": percent,
            "live_version": self.live.get(model, 1),
            "figures": figures,
            "live_figures": figures,
            "sentence": "Too few requests to tell.",
            "fault": "",
        }
        return httpx.Response(200, json=canary)

    def _create_version(self, model: str, body: dict[str, Any]) -> Answer:
        assert body["method"] == "multipart"
        files = {file["name"]: file["size_bytes"] for file in body["files"]}
        version = FakeVersion(len(self.versions[model]) + 1, files, body["auto_promote"])
        self.versions[model].append(version)
        return httpx.Response(201, json=self._version_object(model, version))

    def _answer_version(self, model: str, number: int) -> Answer:
        return httpx.Response(200, json=self._version_object(model, self.versions[model][number - 1]))

    def _answer_upload(self, request: httpx.Request, version: FakeVersion | None, rest: str) -> Answer:
        if version is None:
            return problem(404, "not_found", "Not found.")
        if rest == "/events":
            if not self.has_events:
                return httpx.Response(502, text="<html>no streams through here</html>")
            return self._answer_events(version)
        if rest == "/finish":
            return self._finish(version)
        if request.method == "DELETE":
            version.status = "rejected"
            version.findings = [CANCELLED]
        if request.method == "GET":
            self._move_on(version)
        return httpx.Response(200, json=self._upload_object(version, request.url.params.get("parts", "")))

    def _answer_events(self, version: FakeVersion) -> Answer:
        text = ": still here\n\n"
        while True:
            data = json.dumps(self._upload_object(version, ""))
            text += f"event: step\ndata: {data}\n\n"
            if version.status in ("serving", "rejected", "failed"):
                text += f"event: end\ndata: {data}\n\n"
                return httpx.Response(200, text=text, headers={"Content-Type": "text/event-stream"})
            self._move_on(version)

    def _finish(self, version: FakeVersion) -> Answer:
        if version.status == "rejected":
            return problem(409, "upload_ended", "The upload was cancelled before it was complete.")
        missing = [file for file in version.files if version.missing(file)]
        if missing:
            return problem(400, "not_uploaded", f"The upload of {missing[0]} is incomplete.")
        if version.status == "uploading":
            version.status = "uploaded"
        return httpx.Response(200, json=self._upload_object(version, ""))

    def _move_on(self, version: FakeVersion) -> None:
        """Take a step of a version each time that somebody looks."""
        if version.status == "pushing":
            version.status = self.outcome
            model = self._model_of(version)
            if version.status == "serving" and (version.auto_promote or model not in self.live):
                self.live[model] = version.number
            version.failure = "No engine took it." if self.outcome == "failed" else ""
            version.findings = self.findings
        elif version.status == "uploaded":
            version.status = "pushing"

    def _answer_events_list(self, request: httpx.Request) -> Answer:
        since = request.url.params.get("since", "")
        rows = [
            event for event in self.events if not since or time_of(event) >= datetime.fromisoformat(since)
        ]
        page = {"data": sorted(rows, key=time_of, reverse=True), "has_more": False, "next_cursor": None}
        return httpx.Response(200, json=page)

    def _answer_webhooks(self, request: httpx.Request) -> Answer:
        if request.method == "GET":
            return httpx.Response(200, json={"data": [ENDPOINT], "has_more": False, "next_cursor": None})
        body = json.loads(request.read())
        return httpx.Response(201, json={**ENDPOINT, **body, "secret": WEBHOOK_SECRET})

    def _answer_webhook(self, request: httpx.Request, rest: str) -> Answer:
        if request.method == "DELETE":
            self.deleted_endpoints.append(request.url.path.rpartition("/")[2])
            return httpx.Response(204)
        delivery = {"id": str(uuid4()), "status": "pending", "attempts": 0}
        if rest != "/test":
            delivery |= self.delivery
        return httpx.Response(200, json=delivery)

    def _answer_keys(self, request: httpx.Request, path: str) -> Answer:
        if request.method == "GET":
            return httpx.Response(200, json={"data": self.keys, "has_more": False, "next_cursor": None})
        if request.method == "POST" and path.endswith("/rotate"):
            return httpx.Response(201, json={**key_object("laptop"), "secret": SECRET})
        if request.method == "POST":
            key = key_object(json.loads(request.read())["name"])
            self.keys.insert(0, key)
            return httpx.Response(201, json={**key, "secret": SECRET})
        [key] = [key for key in self.keys if path.endswith(key["id"])]
        key |= {"is_live": False, "revoked_at": "2026-11-26T09:30:00Z"}
        return httpx.Response(200, json=key)

    def _version(self, version_id: str) -> FakeVersion | None:
        for versions in self.versions.values():
            for version in versions:
                if version.id == version_id:
                    return version
        return None

    def _upload_object(self, version: FakeVersion, parts: str) -> dict[str, Any]:
        first, _, last = parts.partition("-")
        asked = range(int(first), int(last) + 1) if parts else range(0)
        current = CURRENT_STEP[version.status]
        files = []
        for file, size_bytes in version.files.items():
            missing = version.missing(file) if version.status == "uploading" else []
            there = version.parts.get(file, {})
            urls = []
            for number in missing:
                if number in asked:
                    part_bytes = min(PART_BYTES, size_bytes - (number - 1) * PART_BYTES)
                    url = f"{STORAGE_URL}/{version.id}/{file}/{number}/{part_bytes}?X-Amz-Signature=secret"
                    urls.append({"number": number, "size_bytes": part_bytes, "url": url})
            files.append(
                {
                    "name": file,
                    "size_bytes": size_bytes,
                    "is_there": not missing,
                    "part_bytes": PART_BYTES,
                    "part_count": -(-size_bytes // PART_BYTES),
                    "parts_there": [
                        {"number": number, "size_bytes": len(body), "etag": '""'}
                        for number, body in there.items()
                    ],
                    "part_urls": urls,
                }
            )
        steps = []
        for number, label in enumerate(STEPS):
            state = "done" if number < current else "current" if number == current else "next"
            steps.append({"name": label.lower(), "label": label, "state": state, "at": None, "note": ""})
        return {
            "id": version.id,
            "object": "upload",
            "style": str(uuid4()),
            "number": version.number,
            "model": f"{self._model_of(version)}@{version.number}",
            "status": version.status,
            "is_final": version.status in ("serving", "rejected", "failed"),
            "steps": steps,
            "files": files,
            "findings": version.findings,
            "failure": version.failure,
        }

    def _model_of(self, version: FakeVersion) -> str:
        return next(model for model, versions in self.versions.items() if version in versions)

    def _version_object(self, model: str, version: FakeVersion) -> dict[str, Any]:
        return {
            "id": version.id,
            "object": "version",
            "number": version.number,
            "model": f"{model}@{version.number}",
            "status": version.status,
            "is_live": self.live.get(model) == version.number,
            "is_canary": False,
            "auto_promote": version.auto_promote,
            "note": "",
            "failure": version.failure,
            "effects": [],
            "size_bytes": max(version.files.values()),
            "sha256": version.digest("adapter_model.safetensors"),
            "config_sha256": version.digest("adapter_config.json"),
            "created_at": "2026-11-26T09:30:00Z",
        }


def problem(status: int, code: str, detail: str, **fields: Any) -> Answer:
    """Return a problem document."""
    body = {"status": status, "code": code, "detail": detail, "errors": [], "request_id": "req_1", **fields}
    return httpx.Response(status, json=body, headers={"Content-Type": "application/problem+json"})


def time_of(event: dict[str, Any]) -> datetime:
    """Return when an event happened."""
    return datetime.fromisoformat(event["timestamp"])


def busy(status: int = 503, retry_after: str = "7") -> Answer:
    """Return a refusal that asks for patience."""
    answer = problem(status, "unavailable", "Part of the service is unavailable.")
    answer.headers["Retry-After"] = retry_after
    return answer


def style_object(model: str, name: str, *, is_selected: bool = False) -> dict[str, Any]:
    """Return a style; a model without a workspace is the first party's."""
    owner, _, slug = f"polyscribe/{model}".rpartition("/") if "/" not in model else model.partition("/")
    return {
        "id": str(uuid4()),
        "object": "style",
        "owner": owner,
        "slug": slug,
        "is_own": owner == "acme",
        "is_selected": is_selected,
        "model": model,
        "name": name,
        "description": "",
        "live_version": None,
        "canary": None,
    }


def key_object(name: str) -> dict[str, Any]:
    """Return a key; that named laptop is the one that the tests log in with."""
    return {
        "id": str(uuid4()),
        "object": "api_key",
        "name": name,
        "hint": "sk-ps-aB3d…9xYz" if name == "laptop" else "sk-ps-new0…secr",
        "scopes": ["inference"],
        "is_live": True,
        "expires_at": None,
        "revoked_at": None,
        "last_used_at": None,
    }


def answer_chat(request: httpx.Request) -> Answer:
    """Answer a chat in OpenAI's form, naming its model; the model `broken` fails in the middle."""
    body = json.loads(request.read())
    model = body["model"]
    if model == "nobody/none":
        error = {
            "message": "There is no model nobody/none.",
            "type": "x",
            "param": "model",
            "code": "model_not_found",
        }
        return httpx.Response(404, json={"error": error}, headers={"x-request-id": "req_2"})
    words = ["I", " am ", model]
    if not body.get("stream"):
        message = {"role": "assistant", "content": "".join(words)}
        return httpx.Response(200, json={"choices": [{"message": message}]})
    lines = ": waiting\n\n"
    for word in words:
        lines += f"data: {json.dumps({'choices': [{'delta': {'content': word}}]})}\n\n"
    if model == "broken":
        error = {"message": "The engine stopped.", "type": "x", "param": None, "code": "engine_stopped"}
        lines += f"data: {json.dumps({'error': error})}\n\n"
    elif model != "cut":
        lines += "data: [DONE]\n\n"
    return httpx.Response(200, text=lines, headers={"Content-Type": "text/event-stream"})


def usage_report(request: httpx.Request) -> dict[str, Any]:
    """Return sums by the groups that are asked for."""
    groups = request.url.params["group_by"].split(",")
    known = {"day": "2026-11-26", "style": "acme/brand-voice", "key": None, "version": None}
    measures = {"requests": 2, "prompt_tokens": 10, "completion_tokens": 20, "cost_usd": "0.01"}
    entry = {name: value if name in groups else None for name, value in known.items()} | measures
    return {"data": [entry], "total": dict.fromkeys(known) | measures}


def requests_log(request: httpx.Request) -> dict[str, Any]:
    """Return two pages of a log, or the refused requests alone."""
    served = {
        "at": "2026-11-26T09:30:00Z", "request_id": "req_1", "style": "acme/brand-voice",
        "outcome": "complete", "prompt_tokens": 10, "completion_tokens": 20, "cost_usd": "0.01", "reason": "",
    }  # fmt: skip
    refused = served | {"request_id": "req_2", "outcome": "refused", "reason": "Rate limit reached."}
    if request.url.params.get("outcome") == "refused":
        return {"data": [refused], "next_cursor": None}
    is_first = "cursor" not in request.url.params
    return {"data": [served if is_first else refused], "next_cursor": "2" if is_first else None}


KEY = {
    "object": "api_key",
    "id": str(uuid4()),
    "name": "laptop",
    "hint": "sk-ps-aB3d…9xYz",
    "scopes": ["inference", "styles:write"],
    "workspace": {"slug": "acme", "name": "Acme"},
    "styles": ["acme/brand-voice"],
    "limits": {
        "key": {"monthly_tokens": {"limit": 1000, "used": 10, "in_flight": 0, "remaining": 990}},
        "workspace": {"monthly_tokens": {"limit": None, "used": 10, "in_flight": 0, "remaining": None}},
    },
}
