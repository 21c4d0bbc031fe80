"""What is sent again, how long the client waits for that, and which error comes of what it gets."""

import httpx
import pytest

from polyscribe import ApiError, Client, Conflict, NotAllowed, NotFound, RateLimited, Unavailable, Unreachable
from polyscribe.errors import BadAddress, BadKey, KeyOfAnotherService, NotLoggedIn
from polyscribe.settings import Settings, clean_address, clean_key, save_settings
from tenants.models import ApiKey
from tests.cli.service import BASE_URL, busy, problem
from tests.tenants.builders import issue_key

API_KEY = "sk-ps-aB3d" + "x" * 28 + "9xYz"


def test_a_connection_that_fails_is_tried_again_with_growing_waits(client, service, waits, broken_line):
    service.faults = [broken_line, broken_line]

    assert client.whoami()["name"] == "laptop"
    assert len(waits) == 2
    assert waits[0] < waits[1]


def test_a_service_that_never_answers_is_unreachable_in_the_end(client, service, waits, broken_line):
    service.faults = [broken_line] * 9

    with pytest.raises(Unreachable, match="Connection refused"):
        client.whoami()
    assert len(waits) == 4


def test_it_waits_as_long_as_a_busy_service_asks(client, service, waits):
    service.faults = [busy(503, "7"), busy(429, "3")]

    client.whoami()

    assert waits == [7.0, 3.0]


def test_it_does_not_wait_longer_than_its_patience(client, service, waits):
    service.faults = [busy(429, "3600")]

    with pytest.raises(RateLimited):
        client.whoami()
    assert waits == []


def test_a_refusal_that_would_be_repeated_is_not_tried_again(client, service, waits):
    answer = busy(429, "2")
    answer.headers["x-should-retry"] = "false"
    service.faults = [answer]

    with pytest.raises(RateLimited):
        client.whoami()
    assert waits == []


def test_a_post_that_may_have_arrived_is_sent_again_under_the_same_idempotency_key(client, service):
    names = []
    answer = service.answer

    def lose_the_first_answer(request: httpx.Request) -> httpx.Response:
        names.append(request.headers["Idempotency-Key"])
        response = answer(request)
        if len(names) == 1:
            raise httpx.ReadError("")
        return response

    service.answer = lose_the_first_answer
    client.post("/keys", {"name": "newsletter"})

    assert names[0] == names[1]
    assert ApiKey.objects.filter(name="newsletter").count() == 1


def test_two_posts_have_different_idempotency_keys(client):
    client.post("/keys", {"name": "a"})
    client.post("/keys", {"name": "b"})

    assert ApiKey.objects.filter(name__in=("a", "b")).count() == 2


def test_an_edit_with_the_etag_that_was_read_does_not_undo_another_ones(client):
    client.post("/webhooks", {"url": "https://example.com/hook"})
    [endpoint] = client.pages("/webhooks")
    path = f"/webhooks/{endpoint['id']}"
    read = client.get(path)

    edited = client.patch(path, {"description": "First"}, if_match=read.etag)
    with pytest.raises(Conflict):
        client.patch(path, {"description": "Second"}, if_match=read.etag)

    assert client.get(path)["description"] == edited["description"] == "First"


def test_it_waits_for_the_first_of_two_equal_requests(client, service, waits):
    service.faults = [problem(409, "idempotency_key_in_use", "Still running.")]

    client.post("/keys", {"name": "newsletter"})

    assert len(waits) == 1


def test_a_problem_document_becomes_an_error_with_all_it_says(client, service):
    errors = [{"field": "name", "code": "blank", "message": "Write a name."}]
    kinds = {401: NotAllowed, 403: NotAllowed, 404: NotFound, 503: Unavailable, 400: ApiError}
    for status, kind in kinds.items():
        service.faults = [problem(status, "some_code", "A sentence.", errors=errors)] * 9
        with pytest.raises(kind) as caught:
            client.whoami()
        error = caught.value
        assert (error.status, error.code, error.detail) == (status, "some_code", "A sentence.")
        assert (error.errors, error.request_id) == (errors, "req_1")


def test_an_error_in_openais_form_is_read_as_well(client):
    with pytest.raises(NotFound) as caught:
        client.chat.complete("nobody/none", "Hello")

    error = caught.value
    assert error.code == "model_not_found"
    assert error.request_id.startswith("req_")
    assert error.errors[0]["field"] == "model"


def test_a_page_of_some_other_server_is_no_traceback(client, service):
    service.faults = [httpx.Response(404, text="<html>nginx</html>")]
    with pytest.raises(NotFound, match="Check the URL"):
        client.whoami()

    service.faults = [httpx.Response(200, text="<html>Welcome</html>")]
    with pytest.raises(Unreachable, match="doesn't look like Polyscribe"):
        client.whoami()


def test_a_list_goes_on_until_its_last_page(client, service, acme, monkeypatch):
    monkeypatch.setattr("polyscribe.transport.PAGE_SIZE", 2)
    names = [f"key-{number}" for number in range(4)]
    for name in names:
        issue_key(acme, name=name, by=None)

    assert [key["name"] for key in client.pages("/keys")] == [*names[::-1], "laptop"]
    assert len(service.requests) == 3


def test_without_a_key_nothing_is_sent():
    with pytest.raises(NotLoggedIn):
        Client()


def test_a_key_with_a_lines_end_is_read_and_a_broken_one_is_never_repeated():
    assert clean_key(f" {API_KEY}\n") == API_KEY
    for broken in (f"{API_KEY[:9]}…{API_KEY[-4:]}", f"{API_KEY}\n{API_KEY}", f"{API_KEY} x"):
        with pytest.raises(BadKey) as refused:
            clean_key(broken)
        assert API_KEY[6:9] not in refused.value.message


def test_the_stored_key_goes_to_the_stored_address_only(monkeypatch):
    save_settings(Settings(BASE_URL, API_KEY))
    monkeypatch.setenv("POLYSCRIBE_BASE_URL", "https://elsewhere.example.com")

    with pytest.raises(KeyOfAnotherService):
        Client()
    assert Client("another-key").settings.base_url == "https://elsewhere.example.com"


def test_the_environment_goes_before_what_is_stored(monkeypatch):
    save_settings(Settings(BASE_URL, API_KEY, "acme"))
    monkeypatch.setenv("POLYSCRIBE_API_KEY", "sk-ps-of-another-workspace")

    settings = Client().settings

    assert (settings.base_url, settings.workspace) == (BASE_URL, "")


def test_an_address_is_taken_as_people_copy_it_and_what_is_none_is_refused():
    for ending in ("", "/", "/v1", "/v1/", "/api/v1"):
        assert clean_address(f" https://polyscribe.test{ending}") == "https://polyscribe.test"
    for written in ("polyscribe.test", "ftp://polyscribe.test", "https://", "https://me@there"):
        with pytest.raises(BadAddress):
            clean_address(written)


def test_no_key_is_shown_by_what_holds_it():
    client = Client(API_KEY, BASE_URL)

    assert API_KEY not in repr(client)
    assert API_KEY not in repr(client.settings)
