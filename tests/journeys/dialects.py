"""The forms in which a text is asked for, by the official clients, and what came as one `Said`."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
from openai.lib.streaming.chat import ChatCompletionStreamState

from tests.journeys.builders import QUESTION, WEATHER, Sky
from tests.journeys.conftest import Writer

type Asked = dict[str, Any]

FUNCTION = WEATHER["function"]


@dataclass(frozen=True)
class Said:
    """What came of a request. Its tokens are those that it says it read and wrote."""

    model: str
    text: str
    calls: list[tuple[str, str]]  # the name of each function, and its arguments as JSON
    ended: str  # "stop", "length" or "tool_calls"
    tokens: tuple[int, int]
    request_id: str
    answer: Any  # as the client has it


class Dialect:
    """One form: `door` is what the client has for it, `asked` a greedy request, `read` what came.

    `forced` has the fields that force a call of the weather, of any function ("required") or of it by name;
    `told` those of the turn in which a call that was said has a result. `parsed` asks for a schema.
    """

    errors: Any = openai
    turns = "messages"  # the field with the conversation

    def whole(self, writer: Writer, asked: Asked) -> Said:
        raw = self.door(writer).with_raw_response.create(**asked)
        return self.read(raw.parse(), raw.headers["x-request-id"])

    def both(self, writer: Writer, asked: Asked) -> list[Said]:
        """Return what a request gives whole and as a stream, asked for at once."""
        with ThreadPoolExecutor(2) as pool:
            answers = [pool.submit(ask, writer, asked) for ask in (self.whole, self.streamed)]
            return [answer.result() for answer in answers]

    def begin(self, writer: Writer, asked: Asked) -> tuple[Any, str]:
        """Return a stream that has begun, and its request's id."""
        raw = self.door(writer).with_raw_response.create(**asked, stream=True)
        return raw.parse(), raw.headers["x-request-id"]

    def code_of(self, error: Any) -> str:
        """Return the code that tells programs what was wrong."""
        return error.code


class Chat(Dialect):
    def door(self, writer):
        return writer.client.chat.completions

    def asked(self, *, max_tokens=16, **more):
        return {"model": "poetry", "messages": QUESTION, "max_tokens": max_tokens, "temperature": 0} | more

    def forced(self, choice, *, is_strict):
        tool = WEATHER | {"function": FUNCTION | {"strict": is_strict}}
        named = {"type": "function", "function": {"name": "weather"}}
        chosen = choice if choice == "required" else named
        return {"tools": [tool], "tool_choice": chosen, "parallel_tool_calls": False}

    def streamed(self, writer, asked):
        state = ChatCompletionStreamState()
        stream, request_id = self.begin(writer, asked | {"stream_options": {"include_usage": True}})
        for chunk in stream:
            state.handle_chunk(chunk)
        return self.read(state.current_completion_snapshot, request_id)

    def read(self, answer, request_id):
        [choice] = answer.choices
        calls = choice.message.tool_calls or []
        assert all(call.id for call in calls)
        return Said(
            model=answer.model,
            text=choice.message.content or "",
            calls=[(call.function.name, call.function.arguments or "") for call in calls],
            ended=choice.finish_reason,
            tokens=(answer.usage.prompt_tokens, answer.usage.completion_tokens),
            request_id=request_id,
            answer=answer,
        )

    def text_of(self, event):
        return event.choices[0].delta.content or "" if event.choices else ""

    def parsed(self, writer, asked):
        return self.door(writer).parse(**asked, response_format=Sky).choices[0].message.parsed

    def told(self, said, result):
        [call] = said.answer.choices[0].message.tool_calls
        assistant = {"role": "assistant", "content": None, "tool_calls": [call.to_dict()]}
        tool = {"role": "tool", "tool_call_id": call.id, "content": result}
        return {"messages": [*QUESTION, assistant, tool]}


class Messages(Dialect):
    errors = anthropic
    ENDS = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls"}

    def door(self, writer):
        return writer.claude.messages

    def asked(self, *, max_tokens=16, **more):
        greedy = {"temperature": 0}  # its client no longer knows it, the form does
        asked = {"model": "poetry", "messages": QUESTION, "max_tokens": max_tokens, "extra_body": greedy}
        return asked | more

    def forced(self, choice, *, is_strict):
        chosen = {"type": "any"} if choice == "required" else {"type": "tool", "name": "weather"}
        tool = {"name": "weather", "strict": is_strict, "input_schema": FUNCTION["parameters"]}
        return {"tools": [tool], "tool_choice": chosen | {"disable_parallel_tool_use": True}}

    def streamed(self, writer, asked):
        with self.door(writer).stream(**asked) as stream:
            message = stream.get_final_message()
        return self.read(message, request_of(message))

    def read(self, answer, request_id):
        usage = answer.usage
        cached = usage.cache_read_input_tokens + usage.cache_creation_input_tokens
        used = [block for block in answer.content if block.type == "tool_use"]
        return Said(
            model=answer.model,
            text="".join(block.text for block in answer.content if block.type == "text"),
            # The input of a call that was cut before its first value is empty.
            calls=[(block.name, json.dumps(block.input) if block.input else "") for block in used],
            ended=self.ENDS[answer.stop_reason],
            tokens=(usage.input_tokens + cached, usage.output_tokens),
            request_id=request_id,
            answer=answer,
        )

    def text_of(self, event):
        return event.delta.text if event.type == "content_block_delta" else ""

    def code_of(self, error):
        return error.body["error"]["type"]

    def parsed(self, writer, asked):
        return self.door(writer).parse(**asked, output_format=Sky).parsed_output

    def told(self, said, result):
        [used] = said.answer.content
        results = [{"type": "tool_result", "tool_use_id": used.id, "content": result}]
        return {"messages": [*QUESTION, said.answer.to_param(), {"role": "user", "content": results}]}


class Responses(Dialect):
    turns = "input"

    def door(self, writer):
        return writer.client.responses

    def asked(self, *, max_tokens=16, **more):
        said = {"model": "poetry", "input": QUESTION[0]["content"], "temperature": 0}
        return said | {"max_output_tokens": max_tokens} | more

    def forced(self, choice, *, is_strict):
        named = {"type": "function", "name": "weather"}
        tool = named | {"strict": is_strict, "parameters": FUNCTION["parameters"]}
        chosen = choice if choice == "required" else named
        return {"tools": [tool], "tool_choice": chosen, "parallel_tool_calls": False}

    def streamed(self, writer, asked):
        *_, last = self.door(writer).create(**asked, stream=True)
        return self.read(last.response, request_of(last.response))

    def read(self, answer, request_id):
        calls = [item for item in answer.output if item.type == "function_call"]
        ended = "tool_calls" if calls else "stop"
        if answer.status == "incomplete":
            assert answer.incomplete_details.reason == "max_output_tokens"
            ended = "length"
        return Said(
            model=answer.model,
            text=answer.output_text,
            calls=[(call.name, call.arguments) for call in calls],
            ended=ended,
            tokens=(answer.usage.input_tokens, answer.usage.output_tokens),
            request_id=request_id,
            answer=answer,
        )

    def text_of(self, event):
        return event.delta if event.type == "response.output_text.delta" else ""

    def parsed(self, writer, asked):
        return self.door(writer).parse(**asked, text_format=Sky).output_parsed

    def told(self, said, result):
        [call] = said.answer.output
        output = {"type": "function_call_output", "call_id": call.call_id, "output": result}
        return {"input": [*QUESTION, call.to_dict(), output]}


DIALECTS = {"chat": Chat(), "messages": Messages(), "responses": Responses()}


def request_of(answer: Any) -> str:
    """Return the request that an answer came of: its id has the same number."""
    return f"req_{answer.id.partition('_')[2]}"
