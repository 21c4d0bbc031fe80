"""What the gateway makes of a whole answer of vLLM."""

import json

import pytest

from inference.contract.usage import Usage
from inference.proxy.vllm import UnaryAnswer
from tests.inference.proxy.builders import ROUTE, asked_for


def reason_of(arguments: str, **ended: object) -> str:
    """Return why an answer with a call ended, as the client and the ledger are told."""
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": arguments}}
    choice = {"index": 0, "message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}
    usage = Usage()
    answer = UnaryAnswer(asked_for(), ROUTE, usage)
    answer.feed(json.dumps({"model": "v_1", "choices": [choice | ended], "usage": {}}).encode())
    [public] = json.loads(answer.end())["choices"]
    assert public["finish_reason"] == usage.finish_reason
    return usage.finish_reason


@pytest.mark.parametrize("arguments", ["", '{"city', '{"city": "Os'])
def test_a_chosen_call_that_the_limit_cut_ended_by_the_limit(arguments):
    assert reason_of(arguments) == "length"


def test_a_whole_call_and_one_that_a_stop_sequence_ended_keep_their_reason():
    assert reason_of('{"city": "Oslo"}') == "tool_calls"
    assert reason_of("{}", finish_reason="stop") == "stop"
    assert reason_of('{"city', stop_reason="y") == "tool_calls"
