"""What programs get at addresses that are not there."""

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

PAGES = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"  # as browsers ask
PROGRAMS = [
    {},
    {"Accept": "*/*"},
    {"Accept": "application/json", "Accept-Language": "de"},
    {"Accept": PAGES, "Authorization": "Bearer sk-ps-x"},
]
# Clients whose address lacks `/v1`, or that try what other servers have.
MISSING = [
    "/chat/completions",
    "/models",
    "/api/tags",
    "/props",
    "/metrics/",
    "/static/none.js",
]


def first_parts() -> list[str]:
    """Return an address that there is not below each of the site's folders."""
    found = set()
    for entry in get_resolver().url_patterns:
        route = str(entry.pattern)
        if isinstance(entry, URLResolver | URLPattern) and "/" in route:
            found.add(f"/{route.partition('/')[0]}/nothing/of/this/name")
    return sorted(path for path in found if "<" not in path)


@pytest.mark.django_db
@pytest.mark.parametrize("headers", PROGRAMS)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_program_gets_json_wherever_nothing_is(client, headers, method):
    paths = MISSING + first_parts()
    assert len(paths) > 20
    for path in paths:
        answer = getattr(client, method)(path, headers=headers)
        if path.startswith("/console/") and answer.status_code == 302:  # it tells strangers nothing
            continue
        assert answer.status_code == 404, path
        assert "json" in answer.headers["Content-Type"], path
        said = answer.json()
        if not path.startswith("/api/"):
            assert said["error"].keys() == {"message", "type", "param", "code"}, path
            assert (said["error"]["code"], "/v1" in said["error"]["message"]) == ("unknown_url", True)
            assert said["error"]["message"].startswith("No such endpoint.")
            assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.django_db
def test_anthropics_clients_get_their_form_without_the_v1_too(client):
    answer = client.post("/messages", headers={"anthropic-version": "2023-06-01", "x-api-key": "x"})
    assert answer.status_code == 404
    assert answer.json().keys() == {"type", "error"}
    assert answer.json()["error"]["type"] == "not_found_error"


@pytest.mark.django_db
def test_obsidian_can_read_that_its_address_lacks_v1(client):
    page = {"Origin": "app://obsidian.md", "Access-Control-Request-Headers": "authorization, x-stainless-os"}
    asked = client.options("/chat/completions", headers=page)
    assert (asked.status_code, asked.content) == (204, b"")
    assert asked.headers["Access-Control-Allow-Headers"] == "authorization, x-stainless-os"
    answer = client.post("/chat/completions", headers=page | {"Authorization": "Bearer sk-ps-x"})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (404, "app://obsidian.md")
    assert "/v1" in answer.json()["error"]["message"]
    assert "Authorization" in answer.headers["Vary"]
    strange = client.options("/chat/completions", headers=page | {"Origin": "https://evil.org"})
    assert (strange.status_code, "Access-Control-Allow-Origin" in strange.headers) == (404, False)


@pytest.mark.django_db
def test_a_person_gets_a_page(client, alice_client):
    for session in (client, alice_client):
        answer = session.get("/chat/completions", headers={"Accept": PAGES})
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
        assert "<h1>" in answer.text
    assert "<h1>" in alice_client.get("/chat/completions").text  # whoever has logged in is a person
