"""API keys over the management API."""

import json
import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from core import valkey as valkey_names
from keys import actions
from operations.retention import delete_old
from tenants.models import ApiKey, AuditEntry, CachedAnswer
from tenants.models import keys as key_secrets
from tests.tenants.api.builders import problem
from tests.tenants.builders import issue_key

# Each answer has a status that the OpenAPI document names.
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("documented_answers")]


def test_a_key_lives_from_its_making_to_its_revoke(admin, acme):
    made = admin.post(
        "keys", {"name": "newsletter", "scopes": ["inference"], "limits": {"monthly_tokens": 50}}
    )
    assert made.status_code == 201
    new = made.json()
    assert key_secrets.is_well_formed(new["secret"])
    assert new["limits"]["monthly_tokens"] == 50
    path = f"keys/{new['id']}"
    got = admin.get(path)
    assert got.json() == {name: value for name, value in new.items() if name != "secret"}
    edited = admin.patch(path, {"name": "letters", "limits": {"parallel_requests": 2}}, If_Match=got["ETag"])
    assert edited.json()["name"] == "letters"
    assert edited.json()["limits"]["monthly_tokens"] == 50
    assert edited["ETag"] != got["ETag"]
    problem(admin.patch(path, {"name": "late"}, If_Match=got["ETag"]), 412, "precondition_failed")
    revoked = admin.delete(path)
    assert not revoked.json()["is_live"]
    problem(admin.patch(path, {"name": "late"}), 409, "key_not_live")
    assert admin.delete(path).status_code == 200
    logged = AuditEntry.objects.filter(tenant=acme).order_by("id").values_list("action", flat=True)
    assert list(logged) == ["api_key.created", "api_key.edited", "api_key.revoked"]
    assert AuditEntry.objects.filter(api_key__isnull=False, actor=None).count() == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": 5}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 61}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"name": "a\ud800"}, "name"),
        ({"name": "x", "colour": "red"}, "colour"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["all"]}, "scopes.0"),
        ({"name": "x", "limits": {"monthly_tokens": 0}}, "limits.monthly_tokens"),
        ({"name": "x", "limits": {"monthly_tokens": 10**30}}, "limits.monthly_tokens"),
        ({"name": "x", "limits": {"colour": 1}}, "limits.colour"),
        ({"name": "x", "limits": {"styles": [str(uuid4())]}}, "limits.styles"),
        ({"name": "x", "limits": []}, "limits"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "expires_at": "soon"}, "expires_at"),
    ],
)
def test_a_wrong_field_is_named(admin, body, field):
    answer = admin.client.post(
        "/api/v1/keys",
        json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {admin.secret}"},
    )
    fault = problem(answer, 400, "invalid")
    assert field in [error["field"].removesuffix(".non_field_errors") for error in fault["errors"]]
    assert ApiKey.objects.shown().count() == 1


def test_no_key_makes_a_mightier_one(with_key):
    program = with_key("keys:write", "inference")
    assert program.post("keys", {"name": "equal", "scopes": ["inference"]}).status_code == 201
    problem(program.post("keys", {"name": "more", "scopes": ["styles:write"]}), 403, "scope_not_yours")
    own = ApiKey.objects.shown().get(name="equal")
    problem(program.patch(f"keys/{own.pk}", {"scopes": ["admin"]}), 403, "scope_not_yours")
    mighty, _ = issue_key(own.tenant, name="mighty", by=None, scopes=["admin"])
    problem(program.post(f"keys/{mighty.pk}/rotate"), 403, "scope_not_yours")


def test_a_member_gives_no_owners_scope_and_touches_no_key_of_others(bob_client, acme, alice, valkey):
    key, _ = issue_key(acme, name="laptop", by=alice)
    for scope in ("admin", "keys:write"):
        body = {"name": "bob's", "scopes": [scope]}
        answer = bob_client.post("/api/v1/keys", body, content_type="application/json")
        problem(answer, 403, "scope_not_yours")
    problem(bob_client.delete(f"/api/v1/keys/{key.pk}"), 403, "not_your_key")


def test_a_key_with_limits_sheds_them_by_no_other_key(with_key):
    program = with_key("keys:write", "inference", monthly_nanousd=10**9)
    own = ApiKey.objects.shown().first()
    problem(program.post("keys", {"name": "free"}), 403, "key_is_limited")
    problem(program.patch(f"keys/{own.pk}", {"limits": {"monthly_nanousd": None}}), 403, "key_is_limited")
    problem(program.post(f"keys/{own.pk}/rotate"), 403, "key_is_limited")


def test_a_key_with_an_end_makes_none_that_outlives_it(with_key, acme):
    lasting, _ = issue_key(acme, name="lasting", by=None)
    tomorrow = timezone.now() + timedelta(days=1)
    program = with_key("keys:write", "inference", expires_at=tomorrow)
    own = ApiKey.objects.shown().get(expires_at=tomorrow)
    for body in ({"expires_at": None}, {"expires_at": (tomorrow + timedelta(seconds=1)).isoformat()}):
        problem(program.post("keys", {"name": "later", **body}), 403, "outlives_your_key")
        problem(program.patch(f"keys/{own.pk}", body), 403, "outlives_your_key")
    problem(program.post(f"keys/{lasting.pk}/rotate"), 403, "outlives_your_key")
    made = program.post("keys", {"name": "as long"}).json()
    assert ApiKey.objects.get(pk=made["id"]).expires_at == tomorrow
    assert program.post(f"keys/{own.pk}/rotate").status_code == 201


def test_a_lesser_key_touches_no_mightier_one(with_key, acme):
    mighty, _ = issue_key(acme, name="mighty", by=None, scopes=["admin"])
    lesser = with_key("keys:write", "inference")
    problem(lesser.patch(f"keys/{mighty.pk}", {"limits": {"monthly_tokens": 1}}), 403, "scope_not_yours")
    problem(lesser.delete(f"keys/{mighty.pk}"), 403, "scope_not_yours")


def test_a_workspace_makes_a_bounded_number_of_keys(admin, monkeypatch):
    monkeypatch.setattr(actions, "MAX_NEW_KEYS_PER_DAY", 3)
    statuses = [admin.post("keys", {"name": f"bot {number}"}).status_code for number in range(4)]
    assert statuses == [201, 409, 409, 409]  # the studio's key and the program's own count, too


def test_the_etag_of_a_new_key_is_that_of_the_key(admin):
    made = [admin.post("keys", {"name": "bot"}, Idempotency_Key="e") for _ in range(2)]
    assert made[0]["ETag"] == made[1]["ETag"] == admin.get(f"keys/{made[0].json()['id']}")["ETag"]
    path = f"keys/{made[0].json()['id']}"
    assert admin.patch(path, {"name": "robot"}, If_Match=made[0]["ETag"]).status_code == 200


def test_a_name_is_taken_by_a_live_key_only(admin):
    first = admin.post("keys", {"name": "bot"}).json()
    problem(admin.post("keys", {"name": "bot"}), 400, "name_taken")
    admin.delete(f"keys/{first['id']}")
    assert admin.post("keys", {"name": "bot"}).status_code == 201


def test_rotating_gives_a_new_secret_and_ends_the_old_one_later(admin, acme):
    old = admin.post("keys", {"name": "bot", "limits": {"requests_per_minute": 7}}).json()
    new = admin.post(f"keys/{old['id']}/rotate", {"old_secret_hours": 2}).json()
    assert new["name"] == "bot"
    assert new["limits"] == old["limits"]
    assert new["secret"] != old["secret"]
    told = admin.get(f"keys/{old['id']}").json()
    assert told["replaced_by"] == new["id"]
    ends_at = ApiKey.objects.get(pk=old["id"]).expires_at
    assert timedelta(hours=1.9) < ends_at - timezone.now() <= timedelta(hours=2)
    problem(admin.post(f"keys/{old['id']}/rotate"), 409, "key_not_live")


@pytest.mark.django_db(transaction=True)
def test_the_data_plane_knows_whether_a_key_may_write(acme, valkey):
    reader, _ = issue_key(acme, name="reader", by=None, scopes=["styles:read"])
    writer, _ = issue_key(acme, name="writer", by=None, scopes=["admin"])
    states = [valkey.hget(valkey_names.key_key(acme.pk, key.pk), "state") for key in (reader, writer)]
    assert states == ["unscoped", "live"]


def test_pages_of_a_list_neither_repeat_nor_lose_a_row_while_keys_are_made(admin):
    for number in range(5):
        admin.post("keys", {"name": f"bot {number}"})
    seen = []
    cursor = ""
    while cursor is not None:
        page = admin.get(f"keys?limit=2&cursor={cursor}" if cursor else "keys?limit=2").json()
        seen += [key["name"] for key in page["data"]]
        assert page["has_more"] is (page["next_cursor"] is not None)
        cursor = page["next_cursor"]
        admin.post("keys", {"name": f"later {len(seen)}"})
    assert [name for name in seen if name.startswith("bot")] == [
        f"bot {number}" for number in (4, 3, 2, 1, 0)
    ]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "limit=-1", "limit=٣", "cursor=!!", "cursor=YWJj"]
)
def test_a_wrong_page_is_refused(admin, query):
    answer = admin.get(f"keys?{query}")
    assert problem(answer, 400, f"invalid_{query.partition('=')[0]}")["errors"][0]["field"] in (
        "limit",
        "cursor",
    )


def test_the_same_request_under_a_name_acts_once(admin, acme):
    answers = [admin.post("keys", {"name": "once"}, Idempotency_Key="n1") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[1]["idempotent-replayed"] == "true"
    assert ApiKey.objects.shown().filter(name="once").count() == 1
    problem(admin.post("keys", {"name": "other"}, Idempotency_Key="n1"), 409, "idempotency_key_reused")
    kept = bytes(CachedAnswer.objects.get().body)
    assert answers[0].json()["secret"].encode() not in kept


def test_another_key_may_use_the_same_name(with_key):
    bodies = [
        with_key("keys:write", "inference").post("keys", {"name": name}, Idempotency_Key="n") for name in "ab"
    ]
    assert [body.status_code for body in bodies] == [201, 201]


def test_a_failed_request_keeps_no_answer(admin):
    problem(admin.post("keys", {"name": ""}, Idempotency_Key="n2"), 400, "invalid")
    assert admin.post("keys", {"name": "right"}, Idempotency_Key="n2").status_code == 201


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_a_name_of_wrong_length_is_refused(admin, name):
    problem(admin.post("keys", {"name": "x"}, Idempotency_Key=name), 400, "invalid_idempotency_key")


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_under_one_name_make_one_key(admin, acme, monkeypatch):
    entered = threading.Event()
    go_on = threading.Event()
    create = actions.create_key

    def slow(*args, **kwargs):
        entered.set()
        assert go_on.wait(60)
        return create(*args, **kwargs)

    monkeypatch.setattr(actions, "create_key", slow)
    answers = []

    def first():
        answers.append(admin.post("keys", {"name": "once"}, Idempotency_Key="n3"))
        connection.close()

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(60)
    second = admin.post("keys", {"name": "once"}, Idempotency_Key="n3")
    problem(second, 409, "idempotency_key_in_use")
    assert second["Retry-After"] == "1"
    go_on.set()
    thread.join()
    assert answers[0].status_code == 201
    assert admin.post("keys", {"name": "once"}, Idempotency_Key="n3").json() == answers[0].json()
    assert ApiKey.objects.shown().filter(name="once").count() == 1


def test_an_answer_of_yesterday_is_not_given_again(admin):
    admin.post("keys", {"name": "once"}, Idempotency_Key="n5")
    CachedAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))
    again = admin.post("keys", {"name": "other"}, Idempotency_Key="n5")
    assert again.status_code == 201


def test_kept_answers_are_pruned_after_a_day(admin):
    admin.post("keys", {"name": "once"}, Idempotency_Key="n4")
    assert delete_old("CachedAnswer", timezone.now() + timedelta(hours=23)) == 0
    assert delete_old("CachedAnswer", timezone.now() + timedelta(hours=25)) == 1
    assert not CachedAnswer.objects.exists()
