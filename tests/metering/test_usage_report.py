"""The parameters of `GET /v1/usage`, which the gateway reads without REST framework."""

from datetime import date

import pytest

from metering.usage_report import BadParameters, read_query


def test_parameters_are_read_and_have_defaults():
    assert read_query({}) == {"start": None, "end": None, "group_by": ["day"], "style": ""}
    read = read_query({"start": "2026-11-01", "group_by": "style,key", "style": "acme/brand-voice"})
    assert (read["start"], read["group_by"]) == (date(2026, 11, 1), ["style", "key"])
    assert read["style"] == "acme/brand-voice"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("start", "01.11.2026"),
        ("end", ""),
        ("group_by", ""),
        ("group_by", "day,day"),
        ("group_by", "day,colour"),
        ("style", "a\x00b"),
        ("style", "a" * 101),
        ("colour", "red"),
        ("key", "7f2c1b4e-9d0a-4c55-8a3e-1b2c3d4e5f60"),
    ],
)
def test_a_wrong_or_unknown_parameter_is_named(name, value):
    with pytest.raises(BadParameters, match=f"Invalid parameters: {name}\\."):
        read_query({name: value})
