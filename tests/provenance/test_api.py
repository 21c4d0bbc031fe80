"""Receipts and checks for programs: by OpenAI's official client, by JSON, and who may not read them."""

import httpx
import openai
import pytest

from provenance.receipts import verify_receipt
from tests.provenance.builders import record_answer
from tests.provenance.marked import write
from tests.site_thread import SiteThread
from tests.tenants.builders import issue_key

TEXT = write(90)


@pytest.fixture
def client(transactional_db, valkey, acme, settings):
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    _, secret = issue_key(acme, name="checks", by=None)
    with SiteThread() as address:
        yield openai.OpenAI(base_url=f"{address}/v1", api_key=secret, max_retries=0)


def authorized(client):
    return {"authorization": f"Bearer {client.api_key}"}


def post(client, **body):
    return httpx.post(f"{client.base_url}content_provenance_checks", json=body, headers=authorized(client))


def get_receipt(client, request_id):
    return httpx.get(f"{client.base_url}receipts/{request_id}", headers=authorized(client))


def test_openais_client_checks_a_text(client):
    check = client.content_provenance_checks.create(file=("text.txt", TEXT.encode()))
    assert check.object == "content_provenance_check"
    [result] = check.results
    assert (result.type, result.outcome) == ("text_watermark", "detected")
    assert (result.epoch, result.verdict) == (3, "found")
    unmarked = write(600, key=None).encode()
    check = client.content_provenance_checks.create(file=("text.txt", unmarked))
    assert check.results[0].outcome == "not_detected"
    with pytest.raises(openai.BadRequestError, match="UTF-8"):
        client.content_provenance_checks.create(file=("text.docx", b"PK\x03\x04\xff"))


def test_an_answer_has_a_receipt_that_verifies_with_its_text(client, acme):
    record_answer(acme, "req_1", text=TEXT)
    receipt = get_receipt(client, "req_1").json()["receipt"]
    assert verify_receipt(receipt).watermark == "gumbel; epoch=3"
    mark, signed = post(client, text=TEXT, receipt=receipt).json()["results"]
    assert (mark["outcome"], signed["outcome"], signed["matches_text"]) == ("detected", "detected", True)
    assert signed["claims"]["request_id"] == "req_1"
    [other] = post(client, text="", receipt=receipt).json()["results"]
    assert (other["validation_state"], other["matches_text"]) == ("valid", None)
    _, wrong = post(client, text=f"{TEXT} ban", receipt=receipt).json()["results"]
    assert (wrong["outcome"], wrong["validation_state"]) == ("not_detected", "valid")


def test_the_receipt_of_a_prescribed_text_alone_detects_nothing(client, acme):
    record_answer(acme, "req_1", text=TEXT, constrained="echo logit_bias")
    receipt = get_receipt(client, "req_1").json()["receipt"]
    mark, signed = post(client, text=TEXT, receipt=receipt).json()["results"]
    assert (mark["outcome"], signed["outcome"]) == ("detected", "not_detected")
    assert (signed["validation_state"], signed["matches_text"]) == ("valid", True)
    assert signed["claims"]["constrained"] == ["echo", "logit_bias"]
    [alone] = post(client, text="", receipt=receipt).json()["results"]
    assert alone["outcome"] == "not_detected"


def test_what_has_no_receipt_and_what_is_a_strangers_is_404(client, acme, charlies):
    record_answer(acme, "req_1", text_sha256="")
    record_answer(charlies, "req_2")
    for request_id in ("req_1", "req_2"):
        found = get_receipt(client, request_id)
        assert (found.status_code, found.json()["error"]["code"]) == (404, "no_receipt")


@pytest.mark.parametrize(
    ("body", "param"),
    [({}, None), ({"text": ["a"]}, "text"), ({"texts": "a"}, "texts"), ({"text": "a" * 50_001}, "text")],
)
def test_what_can_not_be_read_is_refused_by_name(client, body, param):
    refusal = post(client, **body)
    assert refusal.status_code == 400
    assert refusal.json()["error"]["param"] == param


def test_without_a_key_nothing_is_answered(client):
    stranger = httpx.post(f"{client.base_url}content_provenance_checks", json={"text": TEXT})
    assert stranger.status_code == 401
    assert httpx.get(f"{client.base_url}receipts/req_1").status_code == 401
    assert httpx.get(f"{client.base_url}receipts").status_code == 404
