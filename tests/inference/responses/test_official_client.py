"""OpenAI's official client, unchanged: responses that build on others, and conversations."""

import httpx2

from inference.contract import base_model
from inference.models import StoredBytes, StoredResponse
from tests.inference.responses.builders import SAID, ask


def test_a_response_builds_on_another(site, acme_client, refused):
    first = ask(acme_client, instructions="Be short.", metadata={"a": "b"})
    assert (first.store, first.previous_response_id, first.output_text) == (True, None, SAID)
    second = ask(acme_client, "And snow?", previous_response_id=first.id)
    # `instructions` are of one request.
    assert site.asked() == [("user", "Rain?"), ("assistant", SAID), ("user", "And snow?")]
    assert second.previous_response_id == first.id
    third = ask(acme_client, "And hail?", previous_response_id=second.id, store=False)
    assert [role for role, _ in site.asked()] == ["user", "assistant"] * 2 + ["user"]
    assert (third.store, third.previous_response_id) == (False, second.id)
    error = refused(400, ask, acme_client, previous_response_id=third.id)
    assert (error["code"], error["param"]) == ("previous_response_not_found", "previous_response_id")
    assert acme_client.responses.retrieve(first.id).to_dict() == first.to_dict()
    counted = acme_client.responses.input_tokens.count(
        model="poetry", input="x", previous_response_id=second.id
    )
    assert (
        counted.input_tokens
        > acme_client.responses.input_tokens.count(model="poetry", input="x").input_tokens
    )


def test_a_stream_is_stored_before_its_end(site, acme_client):
    first = ask(acme_client)
    for event in ask(acme_client, "And snow?", previous_response_id=first.id, stream=True):
        if event.type == "response.created":
            assert (event.response.store, event.response.previous_response_id) == (True, first.id)
        if event.type == "response.completed":
            last = event.response
            assert acme_client.responses.retrieve(last.id).to_dict() == last.to_dict()
    assert last.output_text == SAID
    ask(acme_client, "And hail?", previous_response_id=last.id)
    assert len(site.asked()) == 5


def test_the_outputs_of_functions_come_in_a_later_turn(site, acme_client, monkeypatch):
    monkeypatch.setattr(base_model, "has_tools", lambda: False)
    call = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}
    first = ask(
        acme_client, [{"role": "user", "content": "Rain?"}, call, {"type": "reasoning", "summary": []}]
    )
    output = {"type": "function_call_output", "call_id": "call_1", "output": "wet"}
    ask(acme_client, [output], previous_response_id=first.id)
    texts = [text for _, text in site.asked()]  # calls and outputs in words
    assert [texts[0], texts[2]] == ["Rain?", SAID]
    assert "weather" in texts[1]
    assert "wet" in texts[3]
    items = acme_client.responses.input_items.list(first.id, order="asc").data
    assert [item.type for item in items] == ["message", "function_call"]


def test_input_items_are_those_of_the_whole_chain_in_pages(acme_client, refused):
    first = ask(acme_client)
    second = ask(acme_client, "And snow?", previous_response_id=first.id)
    listed = list(acme_client.responses.input_items.list(second.id, order="asc", limit=2))
    assert [item.content[0].text for item in listed] == ["Rain?", SAID, "And snow?"]
    newest = list(acme_client.responses.input_items.list(second.id, limit=1))
    assert newest == listed[::-1]
    refused(400, acme_client.responses.input_items.list, second.id, after="msg_1")
    refused(400, acme_client.responses.input_items.list, second.id, limit=101)


def test_a_deleted_response_is_not_built_on(acme, acme_client, refused):
    first = ask(acme_client)
    second = ask(acme_client, previous_response_id=first.id)
    acme_client.responses.delete(first.id)
    refused(404, acme_client.responses.retrieve, first.id)
    refused(404, acme_client.responses.delete, first.id)
    assert acme_client.responses.retrieve(second.id).id == second.id
    error = refused(400, ask, acme_client, previous_response_id=second.id)
    assert first.id in error["message"]
    assert StoredBytes.objects.get(pk=acme.pk).used_bytes == StoredResponse.objects.get().size_bytes


def test_a_response_is_complete_and_can_not_be_cancelled(acme_client, stranger, refused):
    said = ask(acme_client)
    assert (
        "Cannot cancel a synchronous response."
        in refused(400, acme_client.responses.cancel, said.id)["message"]
    )
    assert refused(404, stranger.responses.cancel, said.id)["code"] == "response_not_found"
    assert acme_client.responses.retrieve(said.id).status == "completed"


def test_a_body_that_says_it_is_not_json_is_refused(acme_client, refused):
    headers = {"content-type": "text/plain"}
    error = refused(415, acme_client.conversations.create, extra_headers=headers)
    assert error["code"] == "unsupported_media_type"


def test_a_conversation_is_read_and_written(site, acme_client, acme, refused):
    conversation = acme_client.conversations.create(
        metadata={"topic": "weather"}, items=[{"role": "user", "content": "You are a poet."}]
    )
    assert (conversation.object, conversation.metadata) == ("conversation", {"topic": "weather"})
    response = ask(acme_client, conversation=conversation.id)
    assert response.conversation.id == conversation.id
    ask(acme_client, "And snow?", conversation={"id": conversation.id}, store=False)
    assert [text for _, text in site.asked()] == ["You are a poet.", "Rain?", SAID, "And snow?"]
    items = acme_client.conversations.items
    listed = list(items.list(conversation.id, order="asc", limit=2))
    assert [item.content[0].text for item in listed] == ["You are a poet.", "Rain?", SAID, "And snow?", SAID]
    assert [item.id for item in items.list(conversation.id, limit=3)] == [item.id for item in listed[::-1]]
    assert items.retrieve(listed[1].id, conversation_id=conversation.id) == listed[1]
    added = items.create(conversation.id, items=[{"role": "developer", "content": "Rhyme."}])
    assert added.data[0].role == "developer"
    assert items.delete(listed[0].id, conversation_id=conversation.id).id == conversation.id
    refused(404, items.retrieve, listed[0].id, conversation_id=conversation.id)
    changed = acme_client.conversations.update(conversation.id, metadata={"topic": "snow"})
    assert acme_client.conversations.retrieve(conversation.id) == changed
    ask(acme_client, "And hail?", conversation=conversation.id)
    assert [text for _, text in site.asked()] == ["Rain?", SAID, "And snow?", SAID, "Rhyme.", "And hail?"]
    error = refused(400, ask, acme_client, previous_response_id=response.id)
    assert error["param"] == "previous_response_id"
    refused(400, ask, acme_client, previous_response_id=response.id, conversation=conversation.id)
    assert acme_client.conversations.delete(conversation.id).deleted
    refused(404, acme_client.conversations.retrieve, conversation.id)
    refused(404, ask, acme_client, conversation=conversation.id)
    assert StoredResponse.objects.count() == 2
    used_bytes = StoredBytes.objects.get(pk=acme.pk).used_bytes
    assert used_bytes == sum(StoredResponse.objects.values_list("size_bytes", flat=True))


BAD_CONVERSATIONS = [
    {"items": [{"role": "critic", "content": "x"}]},
    {"items": [{"role": "user", "content": "x"}] * 21},
    {"items": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
    {"metadata": {str(n): "x" for n in range(17)}},
    {"metadata": {"a": "x" * 513}},
    {"metadata": {"a\0": "x"}},
    {"topic": "x"},
]


def test_a_bad_conversation_is_refused(acme_client, refused):
    for fields in BAD_CONVERSATIONS:
        refused(400, acme_client.conversations.create, extra_body=fields)
    # Half a character, which the client itself doesn't send.
    answer = httpx2.post(
        f"{acme_client.base_url}conversations",
        content=rb'{"items": [{"role": "user", "content": "\ud83d"}]}',
        headers={"Authorization": f"Bearer {acme_client.api_key}"},
    )
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
