"""Lines of conversations: whatever is read is what was written, and each fault names its line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import conversations
from training.conversations import (
    MAX_LINE_BYTES,
    BadConversations,
    BadLine,
    read_conversations,
    read_line,
    split_lines,
)
from training.notes import LineFault

ANSWER = {"role": "assistant", "content": "An answer."}
QUESTION = {"role": "user", "content": "A question?"}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def line(*messages: object, **fields: object) -> bytes:
    return json.dumps({"messages": list(messages), **fields}).encode()


@given(content=st.binary(max_size=300), size=st.integers(1, 20))
def test_lines_come_back_whatever_the_chunks(content, size):
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    assert b"\n".join(split_lines(chunks)) == content.removeprefix(conversations.BYTE_ORDER_MARK)


@given(question=TEXTS, answer=TEXTS.filter(str.strip), weight=st.sampled_from([None, 1]))
def test_a_conversation_is_written_as_it_was_read(question, answer, weight):
    given_weight = {} if weight is None else {"weight": weight}
    read = read_line(
        line({"role": "developer", "content": question}, {**ANSWER, "content": answer} | given_weight)
    )
    assert json.loads(read.as_line())["messages"] == [
        {"role": "system", "content": question},
        {"role": "assistant", "content": answer, "weight": 1},
    ]


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | TEXTS, st.lists).map(json.dumps).map(str.encode)
)
def test_anything_else_is_refused_and_never_an_error_of_ours(written):
    with pytest.raises(BadLine):
        read_line(written)


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        (b"{", LineFault.NOT_JSON()),
        (b'{"messages": NaN}', LineFault.NOT_JSON()),
        (b"[]", LineFault.NOT_CHAT()),
        (line(QUESTION, "text"), LineFault.NOT_CHAT()),
        (line(QUESTION, ANSWER, functions=[]), LineFault.FIELD(field="functions")),
        (line(QUESTION, ANSWER | {"tool_calls": []}), LineFault.FIELD(field="tool_calls")),
        (line(QUESTION, {"role": "tool", "content": "x"}), LineFault.ROLE()),
        (line(QUESTION, ANSWER | {"content": None}), LineFault.CONTENT()),
        (line(QUESTION, ANSWER | {"content": [{"type": "image_url"}]}), LineFault.CONTENT()),
        (line(QUESTION, ANSWER | {"weight": 0.5}), LineFault.WEIGHT()),
        (line(QUESTION, ANSWER | {"weight": True}), LineFault.WEIGHT()),
        (line(QUESTION | {"weight": 1}, ANSWER), LineFault.WEIGHT()),
        (line(QUESTION, ANSWER | {"weight": 0}), LineFault.NO_ANSWER()),
        (line(QUESTION, ANSWER | {"content": " "}), LineFault.NO_ANSWER()),
        (line(), LineFault.NO_ANSWER()),
        (line(ANSWER), LineFault.NO_PROMPT()),
        (b"x" * (MAX_LINE_BYTES + 1), LineFault.TOO_LONG(limit=MAX_LINE_BYTES)),
    ],
)
def test_each_fault_of_a_line(written, fault):
    with pytest.raises(BadLine) as refused:
        read_line(written)
    assert refused.value.fault == fault


def test_parts_of_text_are_one_text():
    parts = [{"type": "text", "text": "An "}, {"type": "text", "text": "answer."}]
    assert read_line(line(QUESTION, ANSWER | {"content": parts})).messages[1].content == "An answer."


def test_a_file_names_its_bad_line_and_has_its_bounds(monkeypatch):
    good = line(QUESTION, ANSWER)
    content = b"\n".join([good] * 12 + [b"", b"{"])
    with pytest.raises(BadConversations, match="Line 14 of chats"):
        list(read_conversations([content], file="chats"))
    with pytest.raises(BadConversations, match="9 conversations"):
        list(read_conversations([b"\n".join([good] * 9)], file="chats"))
    monkeypatch.setattr(conversations, "MAX_LINES", 11)
    with pytest.raises(BadConversations, match="more than 11"):
        list(read_conversations([b"\n".join([good] * 12)], file="chats"))
