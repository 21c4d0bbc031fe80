"""The console's page of one engine: how it is and was, what operators have it do, and what would fit."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from adapters.admin.engines import state_of
from adapters.models import Engine, EngineSample, Placement
from adapters.placement import engine_actions, summary
from core.console import Level
from operations.retention import delete_old
from tenants.models import AuditEntry, User
from tests.adapters.builders import known, twin_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
ENGINES = reverse("admin:adapters_engine_changelist")
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def page_of(engine: Engine) -> str:
    return reverse("admin:adapters_engine_change", args=[engine.pk])


def act(client: Client, engine: Engine, action: str):
    form = {"action": action, "_selected_action": [engine.pk], "confirmed": "1", "why": "Kernel update"}
    return client.post(ENGINES, form, follow=True)


def sample(engine: Engine, minute: int, *, loaded: int, loads: int, is_answering: bool = True) -> None:
    counts = {"wanted": 3, "loaded": loaded, "missing": 3 - loaded, "loads": loads}
    at = NOON + minute * MINUTE
    EngineSample.objects.create(engine=engine, at=at, is_answering=is_answering, **counts)


def test_loads_and_evictions_are_differences_of_samples(engine):
    sample(engine, 0, loaded=3, loads=3)
    sample(engine, 1, loaded=0, loads=3, is_answering=False)  # it restarted and forgot all
    sample(engine, 2, loaded=3, loads=6)
    sample(engine, 3, loaded=2, loads=7)  # one came, two went
    found = summary.read_intervals(engine, since=NOON, step=MINUTE)
    assert [interval.loads for interval in found] == [0, 3, 1]
    assert [interval.evictions for interval in found] == [3, 0, 2]
    assert summary.share_answered(found) == pytest.approx(2 / 3)


def test_a_minute_is_sampled_once_and_old_ones_are_thinned_out(acme, engine):
    known(acme, "noir", engine)
    for minutes in (0, 0, 1):
        summary.take_samples(NOON + minutes * MINUTE)
    assert EngineSample.objects.count() == 2
    first = EngineSample.objects.order_by("at").first()
    assert (first.wanted, first.loaded, first.missing) == (1, 1, 0)
    summary.take_samples(NOON + timedelta(hours=26))
    delete_old("EngineSample", NOON + timedelta(hours=26))
    assert EngineSample.objects.filter(at__lt=NOON + MINUTE * 2).count() == 1
    summary.take_samples(NOON + timedelta(days=40))
    delete_old("EngineSample", NOON + timedelta(days=40))
    assert EngineSample.objects.count() == 1


def test_the_page_says_how_it_is_and_what_it_lacks(operator_client, acme, engine):
    summary.take_samples(timezone.now() - MINUTE)
    version = known(acme, "noir", engine)
    summary.take_samples(timezone.now())
    Placement.objects.filter(version=version).update(loaded_at=None, note="Its machine has no memory left.")
    shown = operator_client.get(page_of(engine))
    facts = {fact.name: fact for fact in shown.context["engine"]["facts"]}
    assert facts["State"].level == Level.FAULT  # no worker reported yet
    assert facts["Waiting to load"].value == "1"
    assert "Its machine has no memory left." in shown.text
    assert [chart.title for chart in shown.context["engine"]["charts"]] == [
        "Answered",
        "Loaded styles",
        "Loads",
        "Evictions",
    ]
    Engine.objects.update(is_healthy=True, checked_at=timezone.now())
    facts = {fact.name: fact for fact in operator_client.get(page_of(engine)).context["engine"]["facts"]}
    assert facts["State"].value.startswith("Responding")


def test_only_an_engine_that_should_respond_is_at_fault(engine):
    def level(**facts: bool) -> Level:
        return state_of(twin_of(engine, f"twin {facts}", checked_at=timezone.now(), **facts))[1]

    assert level(is_healthy=False) == Level.FAULT
    assert level(is_healthy=True) == Level.NORMAL
    assert level(is_healthy=False, is_draining=True) == Level.NORMAL
    assert level(is_healthy=False, is_gone=True) == Level.NORMAL


def test_an_engine_is_drained_and_taken_back(operator_client, engine):
    act(operator_client, engine, "drain")
    engine.refresh_from_db()
    assert engine.is_draining
    assert "Nothing to change" in act(operator_client, engine, "drain").text
    act(operator_client, engine, "take_back")
    engine.refresh_from_db()
    assert not engine.is_draining
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == ["drain", "take_back"]


def test_what_an_engine_lacks_is_tried_again_at_once(acme, engine):
    waiting, refused = known(acme, "noir", engine), known(acme, "tide", engine)
    later = timezone.now() + timedelta(hours=1)
    Placement.objects.filter(version=waiting).update(retry_at=later)
    Placement.objects.filter(version=refused).update(is_desired=False, note="Rank too high")
    assert engine_actions.try_again(engine) == 2
    assert not Placement.objects.exclude(retry_at=None).exists()
    assert not Placement.objects.exclude(note="").exists()


def test_an_engines_own_limits_are_read_from_it(operator_client, engine, monkeypatch):
    models = [{"id": engine.base_model.name, "max_model_len": 4096}]
    pages = {
        "/health": "",
        "/v1/models": json.dumps({"data": models}),
        "/metrics": 'vllm:lora_requests_info{max_lora="16",running_lora_adapters=""} 1.0\n',
    }
    monkeypatch.setattr("adapters.engines.client.read_page", lambda engine, path: pages[path])
    act(operator_client, engine, "take_limits")
    engine.refresh_from_db()
    assert (engine.max_model_len, engine.max_loras) == (4096, 16)
    assert AuditEntry.objects.get().after.items() >= {"max_model_len": 4096, "max_loras": 16}.items()
    assert "limits that are already stored" in act(operator_client, engine, "take_limits").text


def test_an_engine_that_does_not_answer_keeps_its_limits(operator_client, engine):
    Engine.objects.update(url="http://127.0.0.1:9")
    shown = act(operator_client, engine, "take_limits").text
    assert "isn&#x27;t responding" in shown or "127.0.0.1" in shown
    engine.refresh_from_db()
    assert engine.max_model_len == 2048
    assert not AuditEntry.objects.exists()


def test_who_sees_an_engine_and_who_steers_it(alice_client, engine):
    address = reverse("admin:adapters_engine_change", args=[engine.pk])
    assert alice_client.get(address).status_code == 302
    clerk = User.objects.create_user("clerk@example.org", is_staff=True)
    client = Client()
    client.force_login(clerk, backend="allauth.account.auth_backends.AuthenticationBackend")
    for role, status in (("Finance", 403), ("Support", 200), ("Engineer", 200)):
        clerk.groups.set(Group.objects.filter(name=role))
        assert client.get(address).status_code == status
        act(client, engine, "drain")
        engine.refresh_from_db()
        assert engine.is_draining == (role == "Engineer")
