"""What of a conversation is learned."""

import json

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trainer.errors import BadExample
from trainer.examples import IGNORED, Example, Message, encode_conversation, encode_line

CHATML = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
# As templates of models that reason do: what was thought is written for the last answer only.
FORGETFUL = (
    "{% for message in messages %}<{{ message['role'] }}>"
    "{{ message['content'].split('</think>')[-1] }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


class Letters:
    """A tokenizer with a token for each letter."""

    eos_token = "<end>"

    def __init__(self, template: str = CHATML) -> None:
        self._template = jinja2.Template(template)

    def apply_chat_template(self, messages, *, add_generation_prompt, tokenize):
        assert not tokenize
        return self._template.render(messages=messages, add_generation_prompt=add_generation_prompt)

    def __call__(self, text, *, add_special_tokens):
        assert not add_special_tokens
        return {"input_ids": [ord(letter) for letter in text]}


def text_of(tokens: list[int]) -> str:
    return "".join(chr(token) for token in tokens)


def learned_text(example: Example) -> str:
    return text_of([label for label in example.labels if label != IGNORED])


turns = st.lists(
    st.tuples(st.text(max_size=12), st.text(max_size=12), st.integers(0, 1)), min_size=1, max_size=4
)


def make_messages(turns: list[tuple[str, str, int]]) -> list[Message]:
    messages = []
    for question, answer, weight in turns:
        messages.append(Message(role="user", content=question))
        messages.append(Message(role="assistant", content=answer, weight=weight))
    return messages


@given(turns)
def test_the_answers_that_count_are_learned_with_their_ends_and_nothing_else(turns):
    messages = make_messages([*turns, ("last?", "yes", 1)])

    [example] = encode_conversation(messages, Letters())

    answers = [f"{message.content.strip()}<end>" for message in messages if message.is_learned]
    assert learned_text(example) == "".join(answers)
    rendered = Letters().apply_chat_template(
        [{"role": message.role, "content": message.text} for message in messages],
        add_generation_prompt=False,
        tokenize=False,
    )
    assert f"{text_of(example.tokens)}\n" == rendered


def test_an_answer_that_the_template_shortens_later_is_learned_as_it_was_written():
    messages = make_messages([("1?", "<think>hm</think>one", 1), ("2?", "<think>oh</think>two", 1)])
    first, second = encode_conversation(messages, Letters(FORGETFUL))
    assert learned_text(first) == "<think>hm</think>one<end>"
    assert learned_text(second) == "<think>oh</think>two<end>"
    assert text_of(second.tokens).startswith("<user>1?<end>\n<assistant>one<end>\n")


def test_a_long_answer_is_cut_at_its_end():
    line = json.dumps({"messages": [message.model_dump() for message in make_messages([("?", "x" * 99, 1)])]})
    [example] = encode_line(line, Letters(), max_tokens=40)
    assert len(example.tokens) == 40
    assert learned_text(example) == "x" * learned_text(example).count("x")


USER = {"role": "user", "content": "Hello?"}
ASSISTANT = {"role": "assistant", "content": "Yes."}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[", "Invalid JSON"),
        ('{"prompt": "?", "response": "!"}', "messages: Field required"),
        (json.dumps({"messages": []}), "messages: List should have at least 1 item"),
        (json.dumps({"messages": [USER]}), "no message of the assistant is learned"),
        (
            json.dumps({"messages": [USER, {**ASSISTANT, "weight": 0}]}),
            "no message of the assistant is learned",
        ),
        (json.dumps({"messages": [USER, {**ASSISTANT, "weight": 2}]}), r"messages\.1\.weight"),
        (json.dumps({"messages": [ASSISTANT]}), "no message comes before"),
        (json.dumps({"messages": [{**USER, "content": "?" * 99}, ASSISTANT]}), "within 64 tokens"),
    ],
)
def test_what_cannot_be_learned_is_refused_with_a_reason(line, reason):
    with pytest.raises(BadExample, match=reason):
        encode_line(line, Letters(), max_tokens=64)


def test_other_fields_of_a_line_are_ignored():
    line = json.dumps({"messages": [USER, {**ASSISTANT, "name": "me"}], "task": "continue"})
    [example] = encode_line(line, Letters(), max_tokens=64)
    assert learned_text(example) == "Yes.<end>"
