"""Fifty grammars that are expensive to compile or to follow, made by hand."""

from collections.abc import Iterable
from typing import Any

from trials.grammars.case import Case

TEXT = {"type": "string"}
# Of SmolLM2: token ids of single letters, digits, blanks and brackets, which lead into a grammar's branches.
SMALL_TOKENS = {str(token): 40 for token in range(17, 110)}

REGEXES = {
    "quantifier without a count in a group": "([a-z]{1,}){1,}0",
    "group that may be empty": "([a-z]?)*0",
    "groups within each other": "(([a-z]+)?)*0",
    "two stars": "((a|b)*(a|b)*)*c",
    "repeated wide class": "(.{1,20})+",
    "repeated wide lengths": "(.{2}|.{3}|.{5}|.{7})*",
    "adjacent wide lengths": ".{0,30}.{0,30}.{0,30}",
    "lengths within lengths": "([a-z]{1,10}){1,30}",
    "questions": "(.?.?.?.?)*",
    "plus and question": "(.+.?)+",
    "backtracking": "(x+x+)+y",
    "plus of plus": "([a-z]+)+",
    "counted plus": "([a-z]+){20}",
    "doubling": "((((((((((a{2}){2}){2}){2}){2}){2}){2}){2}){2}){2}){99}",
    "open lengths": "(.{1,20}){1,}",
    "ten open lengths": "(" + ".{1,}" * 10 + ")+",
    "many alternatives": "(" + "|".join("a" * count for count in range(1, 60)) + ")*b",
    "words that overlap": "((a|ab|abc|abcd|[a-z]+)+ ?)+0",
    "escaped classes": r"([\w\s]{1,50}[\d\w]{1,50})+!",
    "a hundred questions": ".?" * 100,
}


def _any_of(options: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"anyOf": list(options)}


def _array(items: dict[str, Any], **bounds: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **bounds}


def _texts(facts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return a schema of texts of several kinds."""
    return _any_of(TEXT | fact for fact in facts)


def _properties(schemas: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"properties": {f"p{number}": schema for number, schema in enumerate(schemas)}}


def _rules() -> str:
    """Return a hundred rules that lead to each other."""
    rules = ["root ::= r0"]
    for rule in range(100):
        branches = [f'r{(rule * 7 + branch) % 100} "{chr(97 + branch)}"' for branch in range(5)]
        rules.append(f'r{rule} ::= {" | ".join(branches)} | "z"')
    return "\n".join(rules)


NODES = [{"$ref": f"#/$defs/n{number}"} for number in range(8)]
CIRCLES = {f"n{number}": _any_of([*NODES, TEXT]) for number in range(8)}
ARRAYS = {f"n{size}": _any_of(_array(node, maxItems=50 + size) for node in NODES[:6]) for size in range(6)}
LINKS = {f"{number:x}": {"$ref": f"#/$defs/{number + 1:x}"} for number in range(800)}
PREFIXES = {"prefixItems": [TEXT] * 20}
FORMATS = ("email", "uri", "hostname", "ipv6", "uri-reference", "duration")
SCHEMAS: dict[str, Any] = {
    "alternatives that are arrays of each other": {"$defs": ARRAYS, "$ref": "#/$defs/n0"},
    "alternatives that lead to each other": {"$defs": CIRCLES, "$ref": "#/$defs/n0"},
    "prefix items with items": _array(_array(TEXT, **PREFIXES), prefixItems=[_array(TEXT, **PREFIXES)] * 20),
    "long texts": {"type": "string", "maxLength": 100_000},
    "many lengths": _properties({"type": "string", "maxLength": 40 + i} for i in range(60)),
    "256 optional properties": _properties([TEXT] * 256) | {"additionalProperties": False},
    "3,000 optional properties": _properties([TEXT] * 3000),
    "bounded arrays": _any_of(
        _array({"type": "integer", "maximum": 10**6 + i}, maxItems=900) for i in range(100)
    ),
    "an array within an array": _array(
        {"type": "array", "minItems": 900, "maxItems": 1000}, minItems=900, maxItems=1000
    ),
    "a large enum": {"enum": [f"value {i} " + "x" * (i % 90) for i in range(5000)]},
    "many patterns": _texts({"pattern": f"^a{i}[a-z]{{1,40}}$"} for i in range(100)),
    "a pattern of plus in plus": {"type": "string", "pattern": "^(([a-z]+)+,?)+$"},
    "adjacent lengths": {"type": "string", "pattern": "^.{0,30}.{0,30}.{0,30}$"},
    "a chain of references": {"$defs": LINKS | {f"{800:x}": TEXT}, "$ref": "#/$defs/0"},
    "names of any form": {"type": "object", "additionalProperties": _any_of([TEXT, {"$ref": "#"}])},
    "numbers between bounds": _any_of(
        {"type": "number", "minimum": i + 0.125, "maximum": 10**9 + i} for i in range(100)
    ),
    "formats": _texts({"format": name} for name in FORMATS),
}
TOOLS = ("many lengths", "256 optional properties", "prefix items with items", "bounded arrays")
GRAMMARS = {
    "left recursion": 'root ::= root "a" | root "b" | "c"',
    "ambiguous sums": 'root ::= root root | "a" | "a" root',
    "rules that may be empty": 'root ::= a a a a a a a a\na ::= "x" a | b | ""\nb ::= a | "y" | ""',
    "a hundred rules of each other": _rules(),
    "brackets within each other": 'root ::= "(" root ")" root | [a-z]* root | ""',
}
CHOICES = {
    "thousands of choices": [f"{'ab' * (i % 40)}{i}" for i in range(5000)],
    "choices that begin alike": ["a" * i for i in range(1, 800)],
    "long choices": ["lorem ipsum " * 500 + str(i) for i in range(20)],
}


def hand_made() -> list[Case]:
    """Return all of them; some are steered into the expensive branch."""
    cases = [Case(name, "regex", text, bias=SMALL_TOKENS) for name, text in REGEXES.items()]
    cases += [Case(name, "json", schema) for name, schema in SCHEMAS.items()]
    cases += [Case(name, "grammar", text, bias=SMALL_TOKENS) for name, text in GRAMMARS.items()]
    cases += [Case(name, "choice", choices) for name, choices in CHOICES.items()]
    for name in TOOLS:
        cases.append(Case(f"tool: {name}", "tools", {"type": "object", "properties": {"a": SCHEMAS[name]}}))
    circles = {"type": "object", "$defs": CIRCLES, "properties": {"a": NODES[0]}}
    cases.append(Case("tool: circles", "tools", circles))
    return cases
