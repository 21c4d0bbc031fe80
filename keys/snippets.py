"""Code that people paste: a call of a style as it stands, with the key from the environment."""

import json

from django.conf import settings

KEY_VARIABLE = "POLYSCRIBE_API_KEY"
ANSWER_TOKENS = 160
FIRST_PROMPT = "Describe a morning in the city."


def python_call(base: str, model: str, prompt: str) -> str:
    """Return Python that prints what a style answers, by OpenAI's client."""
    return f"""import os
from openai import OpenAI

client = OpenAI(base_url={_quote(base)}, api_key=os.environ["{KEY_VARIABLE}"])
answer = client.chat.completions.create(
    model={_quote(model)},
    messages=[{{"role": "user", "content": {_quote(prompt)}}}],
    temperature={temperature_of(model)},
    max_tokens={ANSWER_TOKENS},
)
print(answer.choices[0].message.content)"""


def curl_call(base: str, model: str, prompt: str) -> str:
    """Return a curl command for a POSIX shell that prints what a style answers, as JSON."""
    call = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": temperature_of(model),
        "max_tokens": ANSWER_TOKENS,
    }
    body = json.dumps(call, ensure_ascii=False).replace("'", "'\\''")
    return f"""curl {base}/chat/completions \\
  -H "Authorization: Bearer ${KEY_VARIABLE}" \\
  -H "Content-Type: application/json" \\
  -d '{body}'"""


def temperature_of(model: str) -> float:
    """Return the service's default, shown so that people know where to change it."""
    return settings.BASE_TEMPERATURE if model == "base" else settings.STYLE_TEMPERATURE


def _quote(text: str) -> str:
    """Return a text as a literal of Python, which JSON's strings are."""
    return json.dumps(text, ensure_ascii=False)
