"""The page that checks a text: for everyone, bounded, and storing nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from django.urls import reverse

from metering.ledger import record_events
from provenance import views
from provenance.checks import ENOUGH_WORDS, USUALLY_FOUND_WORDS
from provenance.receipts import sign_receipt, verify_receipt
from provenance.watermark.detector import USUALLY_FOUND_TOKENS
from tests.provenance.builders import RECEIPT, TEXT
from tests.provenance.marked import write
from tests.tenants.builders import make_event

VERIFY = reverse("provenance:verify")
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.mark.parametrize(
    ("sent", "status", "says"),
    [
        ({"text": write(90)}, 200, "Our watermark was found."),
        ({"text": write(600, key=None)}, 200, "No watermark was found."),
        ({"text": "Short."}, 200, "too short to tell"),
        ({"text": "", "receipt": "  "}, 400, "Send a text, a receipt, or both."),
        ({"text": "a" * 50_001}, 400, "50000"),
        ({"receipt": "eyJ.a.b"}, 200, "This receipt is not valid."),
    ],
)
def test_it_says_what_was_found(client, sent, status, says):
    answer = client.post(VERIFY, sent)
    page = answer.text
    assert (answer.status_code, says in page) == (status, True), page
    assert sent.get("text", "")[:40] in page  # nothing typed is lost


def test_it_says_whether_a_receipt_is_that_of_the_text(client):
    receipt = sign_receipt(RECEIPT)
    page = client.post(VERIFY, {"text": "Another text.", "receipt": receipt}).text
    assert "valid, but not for this text" in page
    assert "The receipt is valid." in client.post(VERIFY, {"receipt": receipt}).text


def test_the_lengths_that_it_names_are_those_that_were_measured(client):
    measured = json.loads(Path("dev/bench/results/provenance.json").read_text())["found"]["power"]["rows"]
    usual = measured["temperature 0.7"]
    assert min(n for n in (30, 60, 100, 200) if usual[f"found_{n}"] >= 0.95) == USUALLY_FOUND_TOKENS
    page = client.get(VERIFY).text
    assert f"usually found in {USUALLY_FOUND_WORDS} words or more" in page
    assert f"about {ENOUGH_WORDS} words to be sure" in page


@pytest.mark.parametrize("words", [60, 74, 90])
def test_a_text_of_some_lines_is_too_short_and_its_chance_is_said_in_words(client, words):
    page = client.post(VERIFY, {"text": write(words, key=None)}).text
    assert "too short to tell" in page
    assert f"about {ENOUGH_WORDS} words to be sure" in page
    assert "more than 1 in 10" in page
    assert "at most 1 in " in client.post(VERIFY, {"text": write(90)}).text


@pytest.mark.parametrize("sent", [{"text": TEXT}, {}])
def test_it_says_of_a_prescribed_text_that_the_receipt_proves_nothing(client, sent):
    receipt = sign_receipt(replace(RECEIPT, constrained=("echo", "logit_bias")))
    page = client.post(VERIFY, sent | {"receipt": receipt}).text
    assert "the request prescribed the text" in page
    assert "echo, logit_bias" in page
    assert 'data-verdict="found"' not in page


def test_an_address_has_so_many_checks_a_minute(client, monkeypatch):
    monkeypatch.setattr(views, "CHECKS_PER_MINUTE", 2)
    statuses = [client.post(VERIFY, {"text": "Short."}).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_a_member_downloads_a_receipt_from_the_requests_page(alice_client, acme):
    event = make_event(acme, text_sha256=RECEIPT.text_sha256, watermark="gumbel; epoch=3")
    record_events([event])
    details = alice_client.get(reverse("billing:request", args=[event.request_id])).text
    address = reverse("provenance:receipt", args=[event.request_id])
    assert address in details
    assert "gumbel; epoch=3" in details
    receipt = alice_client.get(address)
    assert verify_receipt(receipt.text).request_id == event.request_id
    assert alice_client.get(reverse("provenance:receipt", args=["req_none"])).status_code == 404


def test_the_keys_are_published(client):
    answer = client.get(reverse("provenance:receipt_keys"), headers={"origin": "https://elsewhere.example"})
    assert answer["access-control-allow-origin"] == "*"  # so that any page verifies a receipt itself
    [key] = answer.json()["keys"]
    assert (key["crv"], key["kid"]) == ("Ed25519", "1")
    assert key.keys() == {"kty", "crv", "alg", "use", "kid", "x"}  # no private part
