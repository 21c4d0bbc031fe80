"""What tests of the management API ask of its answers."""


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
