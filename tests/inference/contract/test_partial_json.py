"""What is complete of a JSON text that breaks off."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.contract.messages import parse_begun

VALUES = st.recursive(
    # Of 64 bits, which orjson reads exactly.
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "begun"),
    [
        ("", None),
        ("{", {}),
        ('{"city', {}),
        ('{"city": ', {}),
        ('{"city": "Os', {}),
        ('{"city": "Oslo"', {"city": "Oslo"}),
        ('{"city": "Oslo", "days": [1, 2', {"city": "Oslo", "days": [1]}),
        ('{"a": {"b": [', {"a": {"b": []}}),
        ('{"a": "q\\"', {}),
        ('{"a": 1, "b": "],', {"a": 1}),
        ('{"a": 1}', {"a": 1}),
        ('{"a": 1}}', None),
    ],
)
def test_the_member_that_is_not_complete_is_left_out(text, begun):
    assert parse_begun(text) == begun


@given(st.dictionaries(st.text(), VALUES), st.data())
def test_any_beginning_of_an_object_is_an_object(value, data):
    text = json.dumps(value)
    end = data.draw(st.integers(1, len(text)))
    begun = parse_begun(text[:end])
    assert isinstance(begun, dict)
    assert begun.keys() <= value.keys()
    assert parse_begun(text) == value
