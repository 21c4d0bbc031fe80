"""Fifty grammars that are dear to compile or to follow, made by hand."""

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
CIRCLES = {f"n{i}": {"anyOf": [{"$ref": f"#/$defs/n{j}"} for j in range(8)] + [TEXT]} for i in range(8)}
ARRAYS = {
    f"n{i}": {
        "anyOf": [{"type": "array", "items": {"$ref": f"#/$defs/n{j}"}, "maxItems": 50 + i} for j in range(6)]
    }
    for i in range(6)
}
SCHEMAS: dict[str, Any] = {
    "alternatives that are arrays of each other": {"$defs": ARRAYS, "$ref": "#/$defs/n0"},
    "alternatives that lead to each other": {"$defs": CIRCLES, "$ref": "#/$defs/n0"},
    "prefix items with items": {
        "type": "array",
        "prefixItems": [{"type": "array", "prefixItems": [TEXT] * 20, "items": TEXT}] * 20,
        "items": {"type": "array", "prefixItems": [TEXT] * 20, "items": TEXT},
    },
    "long texts": {"type": "string", "maxLength": 100_000},
    "many lengths": {"properties": {f"p{i}": {"type": "string", "maxLength": 40 + i} for i in range(60)}},
    "256 optional properties": {"properties": {f"p{i}": TEXT for i in range(256)},
                                "additionalProperties": False},
    "3,000 optional properties": {"properties": {f"p{i}": TEXT for i in range(3000)}},
    "bounded arrays": {"anyOf": [{"type": "array", "items": {"type": "integer", "maximum": 10**6 + i},
                                  "maxItems": 900} for i in range(100)]},
    "an array within an array": {"type": "array", "minItems": 900, "maxItems": 1000,
                                 "items": {"type": "array", "minItems": 900, "maxItems": 1000}},
    "a large enum": {"enum": [f"value {i} " + "x" * (i % 90) for i in range(5000)]},
    "many patterns": {"anyOf": [{"type": "string", "pattern": f"^a{i}[a-z]{{1,40}}$"} for i in range(100)]},
    "a pattern of plus in plus": {"type": "string", "pattern": "^(([a-z]+)+,?)+$"},
    "adjacent lengths": {"type": "string", "pattern": "^.{0,30}.{0,30}.{0,30}$"},
    "a chain of references": {"$defs": {f"{i:x}": {"$ref": f"#/$defs/{i + 1:x}"} for i in range(800)}
                              | {f"{800:x}": TEXT}, "$ref": "#/$defs/0"},
    "names of any form": {"type": "object", "additionalProperties": {"anyOf": [TEXT, {"$ref": "#"}]}},
    "numbers between bounds": {"anyOf": [{"type": "number", "minimum": i + 0.125, "maximum": 10**9 + i}
                                         for i in range(100)]},
    "formats": {"anyOf": [{"type": "string", "format": name} for name in ("email", "uri", "hostname", "ipv6",
                                                                           "uri-reference", "duration")]},
}  # fmt: skip
GRAMMARS = {
    "left recursion": 'root ::= root "a" | root "b" | "c"',
    "ambiguous sums": 'root ::= root root | "a" | "a" root',
    "rules that may be empty": 'root ::= a a a a a a a a\na ::= "x" a | b | ""\nb ::= a | "y" | ""',
    "a hundred rules of each other": "root ::= r0\n" + "\n".join(
        f"r{i} ::= " + " | ".join(f'r{(i * 7 + j) % 100} "{chr(97 + j)}"' for j in range(5)) + ' | "z"'
        for i in range(100)
    ),
    "brackets within each other": 'root ::= "(" root ")" root | [a-z]* root | ""',
}  # fmt: skip
CHOICES = {
    "thousands of choices": [f"{'ab' * (i % 40)}{i}" for i in range(5000)],
    "choices that begin alike": ["a" * i for i in range(1, 800)],
    "long choices": ["lorem ipsum " * 500 + str(i) for i in range(20)],
}


def hand_made() -> list[Case]:
    """Return all of them; some are steered into the dear branch."""
    cases = [Case(name, "regex", text, bias=SMALL_TOKENS) for name, text in REGEXES.items()]
    cases += [Case(name, "json", schema) for name, schema in SCHEMAS.items()]
    cases += [Case(name, "grammar", text, bias=SMALL_TOKENS) for name, text in GRAMMARS.items()]
    cases += [Case(name, "choice", choices) for name, choices in CHOICES.items()]
    tools = ("alternatives that are arrays of each other", "many lengths", "256 optional properties",
             "prefix items with items", "bounded arrays")  # fmt: skip
    cases += [Case(f"tool: {name}", "tools", {"type": "object", "properties": {"a": SCHEMAS[name]}})
              for name in tools if "$defs" not in SCHEMAS[name]]  # fmt: skip
    cases.append(Case("tool: circles", "tools", {"type": "object", "$defs": CIRCLES,
                                                 "properties": {"a": {"$ref": "#/$defs/n0"}}}))  # fmt: skip
    return cases
