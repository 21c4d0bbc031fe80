"""A route and a parsed request that need neither Valkey nor an engine."""

from inference.contract.requests import ParsedRequest
from tests.inference.builders import place, route_of

INTERNAL, PUBLIC = "v_0f3a_internal", "acme/brünett"
ROUTE = route_of(PUBLIC, places=[place("engine", "http://e", lora=INTERNAL)])


def asked_for(choices=1, **more):
    known = {
        "kind": "chat", "model": PUBLIC, "fields": {}, "stream": True, "include_usage": False,
        "output_tokens": 9, "choices": choices, "choices_per_prompt": choices, "body_bytes": 99,
        "prompt_field": "messages",
    }  # fmt: skip
    return ParsedRequest(**known | more)
