"""When a response is stored, and what is said where it can't be."""

import threading

import openai
import pytest
from django.db import DatabaseError, OperationalError

from inference.models import ConversationItem, StoredBytes, StoredResponse
from inference.responses import store
from tests.inference.responses.builders import SAID, ask
from tests.waiting import eventually


def test_a_workspace_stores_nothing_until_it_says_so(site, acme, refused):
    with site.client(site.admit(acme, days=None)) as client:
        said = ask(client, store=True)
        assert said.store is False
        error = refused(400, ask, client, previous_response_id=said.id)
        assert (error["param"], "settings" in error["message"]) == ("previous_response_id", True)
        assert refused(400, ask, client, conversation="conv_1")["param"] == "conversation"
        for call in (client.responses.retrieve, client.responses.delete, client.conversations.retrieve):
            assert refused(400, call, "resp_1")["code"] == "responses_not_stored"
        assert refused(400, client.conversations.create)["code"] == "responses_not_stored"
    assert not StoredResponse.objects.exists()
    assert not StoredBytes.objects.exists()


def test_where_the_service_stores_nothing_all_is_as_ever(site, acme_client, settings, refused):
    said = ask(acme_client)
    settings.RESPONSES_STORE = False
    assert ask(acme_client).store is False
    assert refused(400, ask, acme_client, previous_response_id=said.id)["param"] == "previous_response_id"
    assert refused(404, acme_client.responses.retrieve, said.id)["code"] == "unknown_url"
    assert refused(404, acme_client.conversations.create)["code"] == "unknown_url"


def test_switching_it_off_refuses_reads_at_once(site, acme, acme_client, refused):
    said = ask(acme_client)
    site.keep(acme, None)
    refused(400, ask, acme_client, previous_response_id=said.id)
    refused(400, acme_client.responses.retrieve, said.id)
    site.keep(acme, 1)
    assert ask(acme_client, previous_response_id=said.id).store


def test_no_answer_is_paid_for_that_could_not_be_stored(site, acme_client, monkeypatch, refused):
    def fail(*_):
        raise OperationalError("the database is away")

    monkeypatch.setattr(store, "require_room", fail)
    error = refused(503, ask, acme_client)
    assert "store: false" in error["message"]
    assert site.engine.received == []
    assert ask(acme_client, store=False).store is False


@pytest.mark.parametrize("error", [OperationalError, DatabaseError])
def test_an_answer_that_could_not_be_stored_says_so(site, acme_client, monkeypatch, error, refused):
    def fail(*_):
        raise error("the database is away")

    monkeypatch.setattr(store, "save_turn", fail)
    said = ask(acme_client)
    assert (said.store, said.output_text) == (False, SAID)
    last = [event for event in ask(acme_client, stream=True) if event.type == "response.completed"][-1]
    assert (last.response.store, last.response.output_text) == (False, SAID)
    refused(404, acme_client.responses.retrieve, last.response.id)


def test_a_full_workspace_is_told(site, acme, acme_client, settings, refused):
    settings.RESPONSES_MAX_MIB = 1
    said = ask(acme_client)
    StoredBytes.objects.filter(pk=acme.pk).update(used_bytes=1024 * 1024)
    assert refused(429, ask, acme_client)["code"] == "response_storage_full"
    assert refused(429, acme_client.conversations.create)["code"] == "response_storage_full"
    assert ask(acme_client, previous_response_id=said.id, store=False).store is False


def test_a_repeated_request_is_stored_once(site, acme, acme_client):
    def ask_again(*, stream: bool):
        answer = ask(acme_client, stream=stream, extra_headers={"idempotency-key": f"once-{stream}"})
        return list(answer)[-1].response if stream else answer

    for stream in (False, True):
        first = ask_again(stream=stream)
        # The answer was paid for: a full workspace gets it again.
        StoredBytes.objects.filter(pk=acme.pk).update(used_bytes=2**40)
        again = ask_again(stream=stream)
        assert (again.id, again.output_text, again.store) == (first.id, SAID, True)
        StoredBytes.objects.filter(pk=acme.pk).update(used_bytes=1000)
        acme_client.responses.delete(first.id)
        assert ask_again(stream=stream).store is False  # it can no longer be built on
    assert not StoredResponse.objects.exists()
    assert len(site.engine.received) == 2


def test_metadata_counts_as_stored(acme, acme_client, refused, settings):
    def used_bytes() -> int:
        return StoredBytes.objects.get(pk=acme.pk).used_bytes

    settings.RESPONSES_MAX_MIB = 1
    empty = acme_client.conversations.create()
    alone = used_bytes()
    conversation = acme_client.conversations.create(metadata={"topic": "x" * 512})
    assert used_bytes() > 2 * alone + 500
    acme_client.conversations.update(conversation.id, metadata={"topic": "x"})
    assert used_bytes() < 2 * alone + 50
    StoredBytes.objects.filter(pk=acme.pk).update(used_bytes=1024 * 1024)
    assert refused(429, acme_client.conversations.update, empty.id, metadata={"a": "b"})["code"] == (
        "response_storage_full"
    )
    acme_client.conversations.update(conversation.id, metadata={})  # what makes room is allowed


def test_one_request_at_a_time_writes_to_a_conversation(site, acme, acme_client, refused):
    conversation = acme_client.conversations.create()
    site.engine.pauses_after = 1
    first = threading.Thread(target=ask, args=(acme_client,), kwargs={"conversation": conversation.id})
    first.start()
    eventually(lambda: site.engine.received, what="the first one does not begin")
    error = refused(409, ask, acme_client, conversation=conversation.id)
    assert (error["code"], error["param"]) == ("conversation_locked", "conversation")
    # Other ways to write and others' requests are not held up.
    acme_client.conversations.items.create(conversation.id, items=[{"role": "user", "content": "Beside"}])
    site.engine.pauses_after = None
    assert ask(acme_client).store
    # OpenAI's client tries again by itself.
    ask(acme_client.with_options(max_retries=5), "Again", conversation=conversation.id)
    first.join()
    items = ConversationItem.objects.order_by("position")
    assert [item.position for item in items] == [1, 2, 3, 4, 5]
    texts = [text for _, text in site.asked()]
    assert sorted(texts) == ["Again", "Beside", "Rain?", SAID]
    assert texts[texts.index("Rain?") + 1] == SAID


def test_a_client_that_hangs_up_leaves_nothing_and_no_lock(site, acme_client):
    conversation = acme_client.conversations.create()
    site.engine.pace_s = 0.05
    with ask(acme_client, conversation=conversation.id, stream=True) as stream:
        next(iter(stream))
    site.engine.pace_s = 0.0

    def is_free() -> bool:
        try:
            return bool(ask(acme_client, "Again", conversation=conversation.id))
        except openai.ConflictError:
            return False

    eventually(is_free, what="the conversation stays locked")
    assert [text for _, text in site.asked()] == ["Again"]
    assert StoredResponse.objects.count() == 1


def test_a_conversation_has_an_end(acme_client, refused, monkeypatch):
    monkeypatch.setattr(store, "BODY_MAX_BYTES", 2_000)
    conversation = acme_client.conversations.create()
    items = [{"role": "user", "content": "x" * 900}]
    acme_client.conversations.items.create(conversation.id, items=items)
    error = refused(400, acme_client.conversations.items.create, conversation.id, items=items)
    assert error["code"] == "conversation_full"
    assert len(acme_client.conversations.items.list(conversation.id).data) == 1


def test_a_turn_without_room_in_its_conversation_is_refused_before_it_is_billed(
    site, acme_client, refused, monkeypatch
):
    monkeypatch.setattr(store, "BODY_MAX_BYTES", 2_000)
    items = [{"role": "user", "content": "x" * 900}]
    conversation = acme_client.conversations.create(items=items)
    assert (
        refused(400, ask, acme_client, "y" * 300, conversation=conversation.id)["code"] == "conversation_full"
    )
    assert not site.engine.received


def test_store_is_a_truth_value(site, acme_client, refused):
    assert refused(400, ask, acme_client, store="false")["param"] == "store"
    assert not site.engine.received


def test_counting_needs_no_room(site, acme, acme_client, settings):
    settings.RESPONSES_MAX_MIB = 1
    conversation = acme_client.conversations.create(items=[{"role": "user", "content": "Rain?"}])
    StoredBytes.objects.filter(pk=acme.pk).update(used_bytes=1024 * 1024)
    counted = acme_client.responses.input_tokens.count(
        model="poetry", input="Snow?", conversation=conversation.id
    )
    assert counted.input_tokens > 0


def test_a_page_of_an_allowed_origin_reads_what_is_stored(site, acme_client, settings):
    settings.API_ALLOWED_ORIGINS = frozenset({"https://page.example"})
    asks = {"origin": "https://page.example", "access-control-request-headers": "authorization"}
    preflight = acme_client._client.options("/conversations", headers=asks)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-headers"] == "authorization"
    stored = acme_client.conversations.with_raw_response.create(extra_headers=asks)
    assert stored.headers["access-control-allow-origin"] == "https://page.example"
    assert "Origin" in stored.headers["vary"]
    others = acme_client._client.options("/conversations", headers={**asks, "origin": "https://evil.example"})
    assert "access-control-allow-origin" not in others.headers
