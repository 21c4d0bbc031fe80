"""What speaks to the management API, and what tests ask of its answers."""

from dataclasses import dataclass, field
from typing import Any

from django.test import Client

BASE = "/api/v1/"


@dataclass
class ApiClient:
    """Speaks JSON to the management API, with a key or with a person's session."""

    client: Client
    secret: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Return the answer; `headers` are names with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.secret:
            sent["Authorization"] = f"Bearer {self.secret}"
        data = {} if body is None else {"data": body, "content_type": "application/json"}
        return getattr(self.client, method)(BASE + path, headers=sent, **data)

    def get(self, path: str, **headers: str) -> Any:
        return self.request("get", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.request("post", path, {} if body is None else body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self.request("patch", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.request("delete", path, **headers)


def problem(answer, status: int, code: str) -> dict:
    """Return a problem document after checking its form."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert {"type", "title", "status", "code", "detail", "errors", "request_id"} == set(body)
    assert body["status"] == status
    assert body["code"] == code
    assert body["request_id"] == answer["x-request-id"]
    return body
