"""What a request may say about the watermark, and what is said of an answer."""

import itertools

import orjson
import pytest

from inference.contract import watermark
from inference.contract.requests import parse_request
from inference.errors import BadRequest

CHAT = {"model": "poetry", "messages": [{"role": "user", "content": "Hi"}]}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}


def parse(**fields):
    return parse_request("chat", orjson.dumps(CHAT | fields))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, ""),
        ({"temperature": 0.01}, ""),
        ({"temperature": 0}, "greedy"),
        ({"response_format": {"type": "text"}}, ""),
        ({"response_format": {"type": "json_object"}}, "structured"),
        ({"structured_outputs": {"json": SCHEMA}}, "structured"),
        ({"structured_outputs": {"choice": ["a", "b"]}, "temperature": 0}, "structured"),
    ],
)
def test_why_no_engine_can_mark_an_answer(fields, why):
    assert parse(**fields).unmarkable == why
    if why:
        with pytest.raises(BadRequest, match="watermarking"):
            parse(**fields, watermarking=True)


@pytest.mark.parametrize(
    ("policy", "wants", "is_served"),
    [("on", True, True), ("on", False, True), ("required", True, True), ("required", False, False),
     ("off", True, False), ("off", False, True)],
)  # fmt: skip
def test_a_request_is_refused_by_name_where_the_operator_decides(settings, policy, wants, is_served):
    settings.WATERMARK = policy
    if is_served:
        assert parse(watermarking=wants).watermarking is wants
        return
    with pytest.raises(BadRequest) as refusal:
        parse(watermarking=wants)
    assert refusal.value.param == "watermarking"


def test_of_all_who_decide_the_operator_wins_then_the_request_then_the_workspace(settings):
    for policy, wants, may_be_unmarked in itertools.product(
        ["required", "on", "off"], [None, True, False], [False, True]
    ):
        settings.WATERMARK = policy
        reason = watermark.unmarked_reason(wants, "", output_tokens=60, may_be_unmarked=may_be_unmarked)
        is_marked = {
            "required": wants is not False,  # such a request was refused before
            "on": not may_be_unmarked if wants is None else wants,
            "off": False,
        }[policy]
        assert (reason == "") == is_marked, (policy, wants, may_be_unmarked)


def test_an_answer_that_is_all_unmarked_beginning_has_no_mark():
    marked = watermark.describe_mark("", "3")
    assert marked == "gumbel; epoch=3"
    ends = [watermark.correct_short(marked, completion_tokens=n, sequences=2) for n in (8, 9)]
    assert ends == ["none; reason=short", marked]
    assert (
        watermark.correct_short("none; reason=greedy", completion_tokens=1, sequences=1)
        == "none; reason=greedy"
    )
    assert watermark.unmarked_reason(None, "", output_tokens=4, may_be_unmarked=False) == "short"


def test_a_faint_mark_is_a_mark_with_an_epoch_and_what_has_none_is_not_faint():
    faint = watermark.mark_faint("gumbel; epoch=3")
    assert (faint, watermark.mark_faint(faint)) == ("gumbel; epoch=3; faint", faint)
    assert watermark.is_marked(faint)
    assert watermark.epoch_of(faint) == 3
    assert watermark.correct_short(faint, completion_tokens=4, sequences=1) == "none; reason=short"
    assert watermark.mark_faint("none; reason=off") == "none; reason=off"
