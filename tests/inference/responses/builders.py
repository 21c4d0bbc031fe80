"""A request of `/v1/responses`, and what the fake engine answers."""

from typing import Any

import openai

SAID = 'Roses are red, "dear" usage: '


def ask(client: openai.OpenAI, said: Any = "Rain?", **fields: Any) -> Any:
    return client.responses.create(model="poetry", input=said, **fields)
