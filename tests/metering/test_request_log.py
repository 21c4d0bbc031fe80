"""The log of requests: in order, page by page, by each filter, and nothing of others."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.urls import reverse
from django.utils import timezone

from core import months
from core.money import dollars
from metering import request_log
from metering.ledger import record_events
from metering.models import LedgerEntry, RefusedRequest
from metering.request_log import Cursor, LogFilter, Refusal
from operations.retention import delete_old
from tests.tenants.builders import issue_key, read_stream

NOON = datetime(2026, 11, 12, 12, tzinfo=UTC)
START, END = months.bounds("2026-11")

pytestmark = pytest.mark.django_db


@pytest.fixture
def laptop(acme):
    return issue_key(acme, name="laptop", by=None)[0]


def refuse(tenant, key, *, at: datetime = NOON, reason: str = "Too fast.", **facts: object) -> None:
    refusal = {
        "request_id": f"req_{uuid4().hex[:12]}", "tenant_id": tenant.pk, "key_id": key.pk, "at": at,
        "model_name": "poetry", "status": 429, "code": "rate_limit_exceeded", "reason": reason,
    }  # fmt: skip
    request_log.record_refusals([Refusal(**refusal | facts)])


def chosen(tenant, **more: object) -> LogFilter:
    return LogFilter(tenant, START, END, **more)


def read_all(log_filter: LogFilter, size: int) -> list[request_log.LoggedRequest]:
    rows: list[request_log.LoggedRequest] = []
    after = None
    while page := request_log.list_requests(log_filter, after, size=size):
        rows += page
        after = Cursor.read(str(page[-1].cursor))  # as an address carries it
    return rows


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_served_and_refused_requests_stand_in_one_order_each_once(acme, laptop, event, size):
    moments = [NOON, NOON, NOON + timedelta(microseconds=1), NOON - timedelta(hours=1)]
    record_events([event(acme, admitted_at=at, key=laptop) for at in moments])
    for at in moments:
        refuse(acme, laptop, at=at)
    rows = read_all(chosen(acme), size)
    assert len({row.request_id for row in rows}) == len(rows) == 8
    assert [row.cursor for row in rows] == sorted((row.cursor for row in rows), reverse=True)


def test_each_filter_leaves_what_it_says(acme, charlies, laptop, event):
    other, _ = issue_key(acme, name="other", by=None)
    record_events(
        [
            event(acme, admitted_at=NOON, key=laptop, style_name="legal", request_id="req_legal"),
            event(acme, admitted_at=NOON, key=other, outcome="upstream_error", request_id="req_broken"),
            event(charlies, admitted_at=NOON, request_id="req_charlies"),
            event(acme, admitted_at=START - timedelta(seconds=1), request_id="req_october"),
        ]
    )
    refuse(acme, laptop, request_id="req_refused")

    def found(**filters: object) -> set[str]:
        return {row.request_id for row in request_log.list_requests(chosen(acme, **filters))}

    assert found() == {"req_legal", "req_broken", "req_refused"}
    assert found(style="legal") == {"req_legal"}
    assert found(style="poetry") == {"req_broken", "req_refused"}
    assert found(key_id=laptop.pk) == {"req_legal", "req_refused"}
    assert found(outcome="complete") == {"req_legal"}
    assert found(outcome="broken") == {"req_broken"}
    assert found(outcome="refused") == {"req_refused"}
    assert found(request_id="req_refused") == {"req_refused"}
    assert found(request_id="req_charlies") == set()


def test_a_request_that_is_recorded_twice_is_there_once(acme, laptop):
    for _ in range(2):
        refuse(acme, laptop, request_id="req_1")
    assert RefusedRequest.objects.count() == 1


def test_the_oldest_refusals_make_room_and_old_ones_are_pruned(acme, laptop, monkeypatch):
    monkeypatch.setattr(request_log, "REFUSED_KEPT_ROWS", 3)
    for hour in range(5):
        refuse(acme, laptop, at=NOON + timedelta(hours=hour), request_id=f"req_{hour}")
    kept = set(RefusedRequest.objects.values_list("request_id", flat=True))
    assert kept == {"req_2", "req_3", "req_4"}
    assert delete_old("RefusedRequest", NOON + timedelta(days=14, hours=3)) == 1


def test_the_page_shows_the_reason_and_links_to_older_requests(alice_client, acme, laptop, event):
    now = timezone.now()
    record_events([event(acme, admitted_at=now, key=laptop) for _ in range(60)])
    refuse(acme, laptop, at=now + timedelta(seconds=1), reason="Too fast, <b>really</b>.")
    page = alice_client.get(reverse("billing:requests"))
    assert "Too fast, &lt;b&gt;really&lt;/b&gt;." in page.text
    assert len(page.context["rows"]) == 50
    older = alice_client.get(reverse("billing:requests"), {"after": str(page.context["next_cursor"])})
    assert len(older.context["rows"]) == 11
    assert older.context["next_cursor"] is None


def test_a_requests_page_shows_what_it_cost_at_which_prices_and_its_ledger_entry(
    alice_client, charlie_client, acme, laptop, event
):
    tokens = {"prompt_tokens": 1_000, "cached_tokens": 400, "completion_tokens": 50}
    made = event(acme, admitted_at=timezone.now(), key=laptop, **tokens)
    record_events([made])
    entry = LedgerEntry.objects.get(source_id=made.request_id)
    address = reverse("billing:request", args=[made.request_id])
    page = alice_client.get(address)
    details = page.context["details"]
    assert [line.tokens for line in details.lines] == [600, 400, 50]
    cents = [Decimal(line.cost.removeprefix("$")) for line in details.lines]
    assert sum(cents) == Decimal(details.total.removeprefix("$")) == Decimal(dollars(entry.amount_nanousd))
    assert f"Entry {entry.pk}: 1,050 tokens" in page.text
    part = alice_client.get(address, headers={"HX-Request": "true"})
    assert "<html" not in part.text
    assert details.total in part.text
    assert charlie_client.get(address).status_code == 404


def test_a_refused_requests_page_shows_code_and_reason(alice_client, acme, laptop):
    facts = {"status": 403, "code": "insufficient_scope", "reason": "It lacks `inference`."}
    refuse(acme, laptop, request_id="req_1", **facts)
    page = alice_client.get(reverse("billing:request", args=["req_1"]))
    for shown in ("Refused", "403 insufficient_scope", "It lacks <code>inference</code>.", "laptop"):
        assert shown in page.text


def test_the_page_needs_few_queries(alice_client, acme, laptop, event, django_assert_max_num_queries):
    record_events([event(acme, admitted_at=timezone.now(), key=laptop) for _ in range(60)])
    with django_assert_max_num_queries(12):
        alice_client.get(reverse("billing:requests"))


def test_a_strangers_key_finds_nothing_and_its_name_stays_hidden(charlie_client, acme, laptop):
    refuse(acme, laptop, at=timezone.now())
    page = charlie_client.get(reverse("billing:requests"), {"key": str(laptop.pk)})
    assert page.context["rows"] == []
    assert "laptop" not in page.text


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"after": "x"}, 400), ({"after": "1.2.3"}, 400), ({"after": "9" * 40 + ".1.1"}, 400),
        ({"after": "-1.1.1"}, 200), ({"after": "1.1.-5"}, 400), ({"month": "2026-13"}, 200),
        ({"month": "0001-01"}, 200), ({"month": "9999-12"}, 200), ({"key": "x"}, 200),
        ({"q": "\x00"}, 200), ({"style": "a" * 500}, 200), ({"outcome": "x"}, 200),
    ],
)  # fmt: skip
def test_no_address_breaks_the_page(alice_client, parameters, status):
    assert alice_client.get(reverse("billing:requests"), parameters).status_code == status
    if "after" not in parameters:
        assert alice_client.get(reverse("billing:usage"), parameters).status_code == 200


def test_the_csv_has_every_row_and_no_formula(alice_client, acme, laptop, event, monkeypatch):
    monkeypatch.setattr(request_log, "EXPORT_CHUNK", 2)
    now = timezone.now()
    record_events([event(acme, admitted_at=now, key=laptop) for _ in range(5)])
    refuse(acme, laptop, at=now, model_name="=cmd|' /C calc'!A0")
    answer = alice_client.get(reverse("billing:export_requests"))
    lines = async_to_sync(read_stream)(answer).splitlines()
    assert len(lines) == 7
    assert lines[0].startswith("request_id,at,style")
    assert any("'=cmd" in line for line in lines)
    assert "attachment" in answer["Content-Disposition"]


def test_the_api_lists_both_kinds_page_by_page_with_the_reason(client, acme, charlies, laptop, event):
    now = timezone.now()
    _, secret = issue_key(acme, name="reader", by=None, scopes=["usage:read"])
    broken = {"outcome": "upstream_error", "prompt_tokens": 0, "completion_tokens": 0}
    for seconds, facts in ((1, {}), (3, {}), (4, broken)):
        record_events([event(acme, admitted_at=now - timedelta(seconds=seconds), key=laptop, **facts)])
    refuse(acme, laptop, at=now - timedelta(seconds=2))
    refuse(charlies, laptop, at=now, reason="Of another.")
    headers = {"Authorization": f"Bearer {secret}"}

    def read(query: str = "") -> dict:
        return client.get(f"/api/v1/requests?{query}", headers=headers).json()

    first = read("limit=2")
    second = read(f"limit=2&cursor={first['next_cursor']}")
    rows = first["data"] + second["data"]
    assert [row["outcome"] for row in rows] == ["complete", "refused", "complete", "broken"]
    assert (first["has_more"], second["has_more"], second["next_cursor"]) == (True, False, None)
    refused = rows[1]
    facts = (refused["status"], refused["code"], refused["reason"], refused["cost_usd"], refused["key"])
    assert facts == (429, "rate_limit_exceeded", "Too fast.", "0.00", str(laptop.pk))
    assert [row["outcome"] for row in read("outcome=refused")["data"]] == ["refused"]
    assert read(f"request_id={rows[2]['request_id']}")["data"] == [rows[2]]
    assert read("end=2026-01-01T00:00:00Z")["data"] == []
    for wrong in ("cursor=x", "limit=0", "outcome=lost", "key=x", "start=x"):
        answer = client.get(f"/api/v1/requests?{wrong}", headers=headers)
        assert answer.status_code == 400, wrong
