"""One grammar that is sent to the engine, and those that chance makes."""

import random
from dataclasses import dataclass, field
from typing import Any

MAX_LEVELS = 4
CHARACTERS = "abcxyz019 _-,.:;!"
CLASSES = (".", "[a-z]", "[^a]", r"\w", r"\d", r"\s", "[a-zA-Z0-9 ]", "[,;]", "[0-9a-f]")
QUANTIFIERS = ("*", "+", "?", "{1,}", "{0,}", "{2,5}", "{0,30}", "{1,100}", "{7}", "{50,}")
FORMATS = ("date", "email", "uri", "ipv4", "ipv6", "uuid", "date-time", "hostname", "duration")
PROMPT = "Write something long."
BIASED_TOKENS = 60
FIRST_TOKENS = 400  # of the vocabulary: single characters and the commonest words


@dataclass(frozen=True)
class Case:
    """A grammar of one kind: regex, json, grammar (EBNF), choice or tools; `bias` is its `logit_bias`."""

    name: str
    kind: str
    grammar: Any
    bias: dict[str, int] = field(default_factory=dict)

    def body(self, model: str, *, tokens: int) -> dict[str, Any]:
        """Return the chat that asks for it."""
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": "user", "content": PROMPT}],
            "max_tokens": tokens,
            "temperature": 1.0,
        }
        if self.kind == "tools":
            function = {"name": "answer", "strict": True, "parameters": self.grammar}
            body["tools"] = [{"type": "function", "function": function}]
            body["tool_choice"] = "required"
        else:
            body["structured_outputs"] = {self.kind: self.grammar}
        if self.bias:
            body["logit_bias"] = self.bias
        return body


def random_case(seed: int, number: int) -> Case:
    """Return a seed's case of that number, always the same."""
    chance = random.Random(f"{seed} {number}")
    kind = chance.choice(("regex", "json", "json", "grammar", "choice", "tools"))
    bias = {}
    if chance.random() < 0.5:
        bias = {
            str(chance.randrange(FIRST_TOKENS)): chance.choice((20, 50, 100)) for _ in range(BIASED_TOKENS)
        }
    return Case(f"random {number}", kind, MAKERS[kind](chance), bias)


def make_regex(chance: random.Random, level: int = 0) -> str:
    """Return an expression of atoms, groups and quantifiers."""
    parts = []
    for _ in range(chance.randint(1, 4)):
        draw = chance.random()
        if draw < 0.4 and level < MAX_LEVELS:
            branches = [make_regex(chance, level + 1) for _ in range(chance.randint(1, 3))]
            atom = f"({'|'.join(branches)})"
        elif draw < 0.7:
            atom = chance.choice(CLASSES)
        else:
            atom = "".join(chance.choice("abcxyz019 ,") for _ in range(chance.randint(1, 6)))
        parts.append(atom + (chance.choice(QUANTIFIERS) if chance.random() < 0.5 else ""))
    return "".join(parts)


def make_schema(chance: random.Random, level: int = 0) -> dict[str, Any]:
    """Return a schema; one of the top level has definitions that lead to each other."""
    if level == 0:
        definitions = {f"d{i}": make_schema(chance, 1) for i in range(chance.randint(1, 5))}
        return make_schema(chance, 1) | {
            "$defs": definitions | {f"d{i}": TEXT for i in range(5)} | definitions
        }
    kinds = ["text", "length", "pattern", "number", "enum", "format", "ref"]
    if level < MAX_LEVELS:
        kinds += ["object", "object", "array", "prefix", "any", "any"]
    schema: dict[str, Any] = SCHEMA_MAKERS[chance.choice(kinds)](chance, level)
    return schema


TEXT = {"type": "string"}


def _several(chance: random.Random, level: int, most: int) -> list[dict[str, Any]]:
    return [make_schema(chance, level + 1) for _ in range(chance.randint(1, most))]


def _object(chance: random.Random, level: int) -> dict[str, Any]:
    properties = {f"p{i}": schema for i, schema in enumerate(_several(chance, level, 8))}
    required = [name for name in properties if chance.random() < 0.4]
    more = {"required": required, "additionalProperties": chance.random() < 0.3}
    return {"type": "object", "properties": properties, **more}


def _array(chance: random.Random, level: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "array", "items": make_schema(chance, level + 1)}
    if chance.random() < 0.6:
        schema["maxItems"] = chance.choice((3, 30, 900))
    return schema


def _prefix(chance: random.Random, level: int) -> dict[str, Any]:
    first = _several(chance, level, 6)
    return {"type": "array", "prefixItems": first, "items": make_schema(chance, level + 1)}


SCHEMA_MAKERS: dict[str, Any] = {
    "text": lambda chance, level: TEXT,
    "length": lambda chance, level: {"type": "string", "maxLength": chance.choice((5, 40, 100, 2000))},
    "pattern": lambda chance, level: {"type": "string", "pattern": f"^{make_regex(chance, 2)}$"},
    "number": lambda chance, level: {"type": "number", "minimum": chance.random(), "maximum": 10**6},
    "enum": lambda chance, level: {"enum": [f"v{i}" * (i % 9 + 1) for i in range(chance.randint(1, 300))]},
    "format": lambda chance, level: {"type": "string", "format": chance.choice(FORMATS)},
    "ref": lambda chance, level: {"$ref": f"#/$defs/d{chance.randrange(5)}"},
    "object": _object,
    "array": _array,
    "prefix": _prefix,
    "any": lambda chance, level: {"anyOf": _several(chance, level, 8)},
}


def make_grammar(chance: random.Random, level: int = 0) -> str:
    """Return EBNF whose rules lead to each other, or to themselves."""
    count = chance.randint(1, 12)
    rules = []
    for number in range(count):
        branches = []
        for _ in range(chance.randint(1, 5)):
            parts = [_symbol(chance, count) for _ in range(chance.randint(1, 4))]
            branches.append(" ".join(parts))
        rules.append(f'r{number} ::= {" | ".join(branches)} | "{chance.choice("abcxyz")}"')
    return "\n".join(["root ::= r0", *rules])


def _symbol(chance: random.Random, rules: int) -> str:
    symbol = chance.choice((f"r{chance.randrange(rules)}", "[a-z]", '"ab"', "[^\\n]", '" "'))
    return symbol + chance.choice(("", "", "*", "+", "?", "{2,9}"))


def make_choices(chance: random.Random, level: int = 0) -> list[str]:
    """Return texts, many or long or alike."""
    length = chance.choice((3, 20, 200))
    start = chance.choice(("", "the same beginning "))
    alphabet = chance.choice(("ab", CHARACTERS))
    return [
        start + "".join(chance.choice(alphabet) for _ in range(chance.randint(1, length)))
        for _ in range(chance.choice((2, 30, 1000)))
    ]


def make_parameters(chance: random.Random, level: int = 0) -> dict[str, Any]:
    """Return a function's parameters."""
    schema = make_schema(chance)
    definitions = schema.pop("$defs")
    return {"type": "object", "properties": {"a": schema}, "required": ["a"], "$defs": definitions}


MAKERS: dict[str, Any] = {
    "regex": make_regex,
    "json": make_schema,
    "grammar": make_grammar,
    "choice": make_choices,
    "tools": make_parameters,
}
