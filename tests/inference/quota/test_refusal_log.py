"""Refused requests get into the workspace's log: why, but never what was asked; bounded, and without loss."""

from uuid import uuid4

import pytest
from django.utils import timezone

from core import valkey as names
from core.errors import Unavailable
from core.messages import read_message
from inference.errors import BadRequest, EngineBusy, UnknownModel
from inference.quota import refusal_log
from inference.quota.admission import Caller
from inference.quota.refusals import LOGGED_PER_S, LogRate
from inference.quota.scripts import REFUSALS
from metering.models import RefusedRequest
from tenants.models import Tenant
from tests.inference.builders import SHORT_WAITS
from tests.inference.fakes import chat, refusals_written
from tests.tenants.builders import issue_key


def entries(account) -> list[dict[str, str]]:
    stream = names.refused_requests_key(account.tenant)
    return [fields for _, fields in account.store.xrange(stream)]


async def test_a_refusal_is_noted_with_its_reason(client, engine, account):
    account.limit(requests_per_minute=1)
    assert [(await client.ask(chat()))[0] for _ in range(2)] == [200, 429]
    await refusals_written(client.gateway)
    [entry] = entries(account)
    assert str(read_message(entry["reason"])).startswith(
        "Rate limit reached for requests per minute of this workspace: 1 allowed"
    )
    assert (entry["model"], entry["status"], entry["code"]) == ("poetry", "429", "rate_limit_exceeded")
    assert entry["key"] == str(account.key)
    assert account.store.smembers(names.refusing_workspaces_key()) == {str(account.tenant)}


async def test_a_request_that_is_served_is_not_noted(client, engine, account):
    assert (await client.ask(chat()))[0] == 200
    await refusals_written(client.gateway)
    assert entries(account) == []


@pytest.mark.proxy_settings(**SHORT_WAITS)
async def test_a_busy_engine_is_noted_and_counts_as_no_fault_of_the_clients(client, account):
    account.offer("poetry", "http://127.0.0.1:9")  # where nothing listens
    assert (await client.ask(chat()))[0] == 503
    await refusals_written(client.gateway)
    assert [entry["status"] for entry in entries(account)] == ["503"]
    assert not account.store.keys("*:refusals:*")


async def test_what_a_client_wrote_is_in_no_reason(client, account):
    body = {"model": "poetry", "messages": [{"role": "my secret role", "content": "my secret prompt"}]}
    assert (await client.ask(body))[0] == 400
    await refusals_written(client.gateway)
    [entry] = entries(account)
    assert "secret" not in str(entry)
    assert entry["reason"]


def test_a_flood_is_noted_in_part_and_takes_nothing_from_a_neighbour():
    acme_id, other = uuid4(), uuid4()
    now_s = [10.0]
    limit = LogRate(clock=lambda: now_s[0])
    assert [limit.take(acme_id) for _ in range(LOGGED_PER_S + 2)] == [True] * LOGGED_PER_S + [False] * 2
    assert limit.take(other)
    now_s[0] += 1
    assert limit.take(acme_id)


def test_a_reason_tells_the_field_of_a_bad_body_and_the_name_of_an_unknown_model():
    assert "`temperature`" in str(refusal_log.reason_of(BadRequest("no: my secret", param="temperature")))
    assert "secret" not in repr(refusal_log.reason_of(BadRequest("no: my secret")))
    assert "`gone`" in str(refusal_log.reason_of(UnknownModel(model="gone", param="model")))
    assert len(str(refusal_log.reason_of(UnknownModel(model="m" * 5000, param="model")))) <= 500


@pytest.mark.django_db
class TestDrain:
    @pytest.fixture
    def caller(self, acme) -> Caller:
        return Caller(acme.pk, issue_key(acme, name="laptop", by=None)[0].pk)

    def note(self, store, caller: Caller, number: int, error: Unavailable | None = None) -> None:
        keys, note = refusal_log.log_entry(
            error or EngineBusy(), request_id=f"req_{number}", caller=caller, model="poetry", status=503
        )
        store.register_script(REFUSALS)(["", *keys], [0, 0, *note])

    def test_each_is_recorded_once_and_leaves_nothing_behind(self, valkey, caller):
        self.note(valkey, caller, 1)
        self.note(valkey, caller, 2)
        assert refusal_log.drain_refusals(valkey) == 2
        row = RefusedRequest.objects.get(request_id="req_1")
        assert (row.tenant_id, row.key_id, row.model_name, row.status) == (
            caller.tenant_id, caller.key_id, "poetry", 503,
        )  # fmt: skip
        assert abs((timezone.now() - row.at).total_seconds()) < 60
        assert valkey.keys("*refus*") == []
        assert refusal_log.drain_refusals(valkey) == 0

    def test_a_drain_that_died_after_postgresql_is_repeated_without_doubles(
        self, valkey, caller, monkeypatch
    ):
        self.note(valkey, caller, 1)
        real = refusal_log.FORGET_REFUSALS
        monkeypatch.setattr(refusal_log, "FORGET_REFUSALS", "return redis.error_reply('killed')")
        with pytest.raises(Exception, match="killed"):
            refusal_log.drain_refusals(valkey)
        monkeypatch.setattr(refusal_log, "FORGET_REFUSALS", real)
        refusal_log.drain_refusals(valkey)
        assert RefusedRequest.objects.count() == 1
        assert valkey.keys("*refus*") == []

    def test_what_comes_during_a_drain_is_kept_for_the_next(self, valkey, caller, monkeypatch):
        self.note(valkey, caller, 1)
        record = refusal_log.record_refusals

        def slowly(refusals):
            self.note(valkey, caller, 2)
            return record(refusals)

        monkeypatch.setattr(refusal_log, "record_refusals", slowly)
        refusal_log.drain_refusals(valkey)
        monkeypatch.setattr(refusal_log, "record_refusals", record)
        assert refusal_log.drain_refusals(valkey) == 1
        assert RefusedRequest.objects.count() == 2

    def test_a_flood_keeps_only_the_newest(self, valkey, caller):
        for number in range(refusal_log.MAX_LOGGED + 20):
            self.note(valkey, caller, number)
        assert refusal_log.drain_refusals(valkey) == refusal_log.MAX_LOGGED
        assert not RefusedRequest.objects.filter(request_id="req_0").exists()

    def test_a_workspace_that_was_deleted_stops_no_drain(self, valkey, caller):
        self.note(valkey, caller, 1)
        Tenant.objects.filter(pk=caller.tenant_id).delete()
        assert refusal_log.drain_refusals(valkey) == 0
        assert valkey.keys("*refus*") == []
