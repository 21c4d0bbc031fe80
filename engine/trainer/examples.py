"""Conversations as tokens, labelled where the model learns."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import jinja2
from pydantic import BaseModel, Field, ValidationError

from trainer.errors import BadExample
from trainer.job import describe_problems

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100  # the label that cross entropy skips


class Message(BaseModel):
    """One message of a conversation; an assistant's of weight 0 is context, not learned."""

    role: str
    content: str
    weight: Literal[0, 1] = 1

    @property
    def text(self) -> str:
        """Return the content. An answer is stripped, as many templates do once it is history."""
        return self.content.strip() if self.role == "assistant" else self.content

    @property
    def is_learned(self) -> bool:
        return self.role == "assistant" and self.weight == 1 and bool(self.text)


class Conversation(BaseModel):
    """One line of learn.jsonl or validate.jsonl; other fields of it are ignored."""

    messages: list[Message] = Field(min_length=1)


@dataclass(frozen=True)
class Example:
    """The tokens of a conversation. A learned token is its own label; the others are IGNORED."""

    tokens: list[int]
    labels: list[int]

    @property
    def learned_tokens(self) -> int:
        """Return how many tokens are learned. The first one isn't: nothing before it could predict it."""
        return sum(label != IGNORED for label in self.labels[1:])

    def cut(self, max_tokens: int) -> "Example":
        return Example(self.tokens[:max_tokens], self.labels[:max_tokens])


def read_examples(file: Path, tokenizer: "PreTrainedTokenizerBase", *, max_tokens: int) -> list[Example]:
    """Return the examples of `file`, none longer than `max_tokens`. Raises BadExample naming the line."""
    examples: list[Example] = []
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                examples += encode_line(line, tokenizer, max_tokens=max_tokens)
            except BadExample as error:
                raise BadExample(f"{file.name} line {number}: {error}") from None
    return examples


def encode_line(line: str, tokenizer: "PreTrainedTokenizerBase", *, max_tokens: int) -> list[Example]:
    """Return the examples of one line. Raises BadExample."""
    try:
        messages = Conversation.model_validate_json(line).messages
        if messages[0].is_learned:
            raise BadExample("no message comes before the assistant's first")
        if not any(message.is_learned for message in messages):
            raise BadExample("no message of the assistant is learned")
        examples = encode_conversation(messages, tokenizer)
    except ValidationError as error:
        raise BadExample(describe_problems(error)) from None
    except jinja2.TemplateError as error:
        raise BadExample(f"the base model's chat template rejects it: {error}") from None
    cut = [example.cut(max_tokens) for example in examples]
    if any(example.learned_tokens == 0 for example in cut):
        raise BadExample(f"no token to learn is within {max_tokens} tokens")
    return cut


def encode_conversation(messages: list[Message], tokenizer: "PreTrainedTokenizerBase") -> list[Example]:
    """Return the examples of a conversation, in the base's chat template as the engine applies it.

    What comes before an answer is rendered like a request's prompt; the answer and its end mark are learned.
    All answers share one example, unless the template renders an earlier answer differently once it is
    history (some drop its reasoning): then each stretch is an example of its own.
    """
    turns = [{"role": message.role, "content": message.text} for message in messages]
    examples: list[Example] = []
    tokens: list[int] = []
    labels: list[int] = []
    rendered = ""
    for number, message in enumerate(messages):
        if not message.is_learned:
            continue
        prompt = tokenizer.apply_chat_template(turns[:number], add_generation_prompt=True, tokenize=False)
        if not prompt.startswith(rendered):
            examples.append(Example(tokens, labels))
            tokens, labels, rendered = [], [], ""
        before = tokenize(tokenizer, prompt[len(rendered) :])
        answer = f"{message.text}{tokenizer.eos_token}"
        after = tokenize(tokenizer, answer)
        tokens += before + after
        labels += [IGNORED] * len(before) + after
        rendered = prompt + answer
    return [*examples, Example(tokens, labels)]


def tokenize(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """Return the tokens of `text`, which already contains its special tokens."""
    return tokenizer(text, add_special_tokens=False)["input_ids"]
