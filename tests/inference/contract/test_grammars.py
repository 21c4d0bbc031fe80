"""Bounds of schemas, patterns and choices: of size, depth and keywords. The engine measures the rest."""

import re
import time

import pytest

from inference.contract import grammars
from inference.errors import BadRequest

TEXT = {"type": "string"}


def deep(levels):
    schema = TEXT
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


def an_object(count, schema=TEXT, **more):
    return {"type": "object", "properties": {f"p{i}": schema for i in range(count)}} | more


def chain(length, alternatives=0):
    """Definitions of which each leads to the next one, through so many alternatives within each other."""
    definitions = {f"{length:x}": TEXT}
    for number in range(length):
        definition = {"$ref": f"#/$defs/{number + 1:x}"}
        for _ in range(alternatives):
            definition = {"anyOf": [definition]}
        definitions[f"{number:x}"] = definition
    return {"$defs": definitions, "$ref": "#/$defs/0"}


@pytest.mark.parametrize(
    ("text_format", "text", "other"),
    [
        ("uri-reference", "../a?b=%20#c", "a b"),
        ("json-pointer", "/a/~0b/0", "a/b"),
        ("relative-json-pointer", "1/a", "/a"),
    ],
)
def test_a_format_that_the_engine_does_not_know_becomes_its_pattern(text_format, text, other):
    schema = {"type": "string", "format": text_format}
    grammars.check_schemas([schema], "response_format")
    assert schema.keys() == {"type", "pattern"}
    assert re.search(schema["pattern"], text)
    assert not re.search(schema["pattern"], other)


# Each made vLLM 0.32 answer 500, or is larger than a schema may be.
HARMFUL = {
    "beyond 64 bits": {"type": "integer", "minimum": 10**18, "maximum": 10**19},
    "a number without end": {"type": "number", "minimum": -1e308 * 10},
    "a bound in between": {"type": "integer", "minimum": 0.5},
    "no value at all": {"type": "object", "properties": {"a": False}},
    "no items, but two": {"type": "array", "items": False, "minItems": 2},
    "no integer between": {"type": "integer", "minimum": 5, "maximum": 4},
    "itself": {"$ref": "#"},
    "a circle": {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    "nowhere": {"$ref": "#/$defs/none"},
    "elsewhere": {"$ref": "http://127.0.0.1/schema"},
    "what nobody checks": {"$ref": "#/default/x", "default": {"x": an_object(300)}},
    "what is no schema": {"$ref": "#/const/x", "const": {"x": TEXT}},
    "a value within": {
        "type": "object", "properties": {"a": {"$ref": "#/properties/b/default"}, "b": {"default": {}}},
    },
    "all properties": {"type": "object", "properties": {"a": {"$ref": "#/properties"}}},
    "a long way round": chain(70, alternatives=13),
    "items that are no schema": {"type": "array", "items": []},
    "properties that are no schema": {"type": "object", "additionalProperties": 0},
    "NUL in a pattern": {"type": "string", "pattern": "a\x00b"},
    "deep": deep(40),
    "3,000 properties": an_object(3000),
    "300 properties": an_object(300),
    "a large enum": {"enum": [f"v{i}" for i in range(2000)]},
    "a long length": {"type": "string", "maxLength": 500},
    "a costly format": {"type": "string", "format": "uri-template"},
    "an unknown format": {"type": "string", "format": "regex"},
    "a length and a pattern": {"type": "string", "pattern": "a", "maxLength": 3},
    "a repetition": {"type": "string", "pattern": "^[a-z]{1,500}$"},
    "not": {"not": TEXT},
    "unique": {"type": "array", "uniqueItems": True},
    "all of": {"allOf": [TEXT, {"enum": ["a"]}]},
    "no type": {"type": "text"},
    "items": {"type": "array", "items": TEXT, "minItems": 10**6},
    "required": {"type": "object", "required": [f"p{i}" for i in range(1000)]},
}  # fmt: skip


@pytest.mark.parametrize("name", HARMFUL)
def test_a_schema_that_harms_the_engine_is_refused(name):
    with pytest.raises(BadRequest) as raised:
        grammars.check_schemas([HARMFUL[name]], "response_format")
    assert raised.value.param == "response_format"


def test_several_schemas_count_together():
    schema = an_object(100)
    grammars.check_schemas([schema], "tools")
    with pytest.raises(BadRequest, match="properties"):
        grammars.check_schemas([schema] * 3, "tools")


def test_usual_schemas_are_served():
    node = {
        "type": "object",
        "properties": {"value": TEXT, "next": {"anyOf": [{"$ref": "#/$defs/N"}, {"type": "null"}]}},
    }
    grammars.check_schemas(
        [
            {"$schema": "x", "title": "T", "$defs": {"N": node}, "$ref": "#/$defs/N"},
            {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}},
            an_object(60, required=[f"p{i}" for i in range(60)], additionalProperties=False),
            {"type": "object", "additionalProperties": {"type": "integer", "maximum": 2**63 - 1}},
            {"type": "array", "items": {"enum": ["a", 1, None]}, "minItems": 1, "maxItems": 100},
            {"type": "string", "maxLength": 64},
            {"type": ["string", "null"], "format": "date-time", "default": None, "examples": ["x"]},
            {"type": "string", "pattern": r"^\+?[0-9]{3}-[0-9]{4}$"},
            {"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": TEXT},
            {
                "type": "object",
                "properties": {
                    "default": {"type": "array", "items": {"type": "object"}},
                    "b": {"$ref": "#/properties/default"},
                    "c": {"$ref": "#/properties/default/items"},
                    "d": {"anyOf": [{"$ref": "#/additionalProperties"}, {"$ref": "#/additionalProperties"}]},
                },
                "additionalProperties": {"type": "integer"},
            },
            {"const": 3},
        ],
        "response_format",
    )  # fmt: skip


def test_annotations_of_clients_pass_and_no_engine_sees_those_of_their_own():
    schema = {
        "type": "object",
        "strict": True,
        "x-order": ["name"],
        "properties": {
            "name": {"type": "string", "deprecated": True, "x-widget": {"not": {}}, "title": "Name"}
        },
    }
    grammars.check_schemas([schema], "tools")
    name = {"type": "string", "deprecated": True, "title": "Name"}
    assert schema == {"type": "object", "properties": {"name": name}}


def test_what_would_change_the_answer_is_refused_by_its_name():
    for keyword in ("not", "if", "patternProperties", "uniqueItems", "multipleOf", "minProperties"):
        with pytest.raises(BadRequest, match=f"`{keyword}` is not supported"):
            grammars.check_schemas([{"type": "object", "properties": {"a": {keyword: 1}}}], "tools")


@pytest.mark.parametrize(
    "pattern",
    [
        "[a-z]{101}", "[a-z]{1,101}", "[a-z]{101,}", "a{999}", "(?=a)b", "(?P<n>a)", "(?<!a)b", r"(a)\1", "(",
        "a" * 257, "a\x00", r"\bword", 3,
    ],
)  # fmt: skip
def test_a_pattern_that_the_engine_can_not_follow_is_refused(pattern):
    with pytest.raises(BadRequest):
        grammars.check_regex(pattern, "structured_outputs")


@pytest.mark.parametrize(
    "pattern",
    [
        ".*", "[a-z]{1,100}", ".{1,100}", r"\d{4}-\d{2}-\d{2}", r"(\d{1,3}\.){3}\d{1,3}", "(yes|no)", "",
        r"[\w.]+@[a-z]+\.(com|org)", "([a-z]+,)*[a-z]+", r"-?\d+(\.\d{1,2})?", "([A-Z][a-z]+ )+[A-Z][a-z]+",
        r"\d+(\.\d+)*", "(a|b|ab)*c", "([a-z]{2})*", "(ab?)*", "(a,|[b-z]+;)*", "((yes|no)?;)*", "((a+;)+,)*",
        "[a-z]{2,}", "(?:a|b)+", "[(?=]", r"\(\?=", r"[\]{999}]", r"\{999}",
    ],
)  # fmt: skip
def test_usual_patterns_are_served(pattern):
    grammars.check_regex(pattern, "structured_outputs")


def test_choices_are_bounded():
    grammars.check_choices(["blue", "red"], "structured_outputs")
    for wrong in ([], [""], ["a", 1], "blue", ["a\x00"], ["x"] * 257, ["x" * 20_000]):
        with pytest.raises(BadRequest):
            grammars.check_choices(wrong, "structured_outputs")


@pytest.mark.parametrize("name", HARMFUL)
def test_a_check_takes_little_time(name):
    began_s = time.process_time()
    with pytest.raises(BadRequest):
        grammars.check_schemas([HARMFUL[name]], "response_format")
    assert time.process_time() - began_s < 0.5


def test_a_long_chain_of_references_is_followed_once(monkeypatch):
    followed = []
    resolve = grammars._resolve
    monkeypatch.setattr(grammars, "_resolve", lambda *arguments: followed.append(1) or resolve(*arguments))
    grammars.check_schemas([chain(500)], "response_format")
    assert len(followed) <= 3 * 501  # it was the square of it: 0.1 s in which nobody else was served
