"""Ten users at once, each in another style: every answer is its own adapter's, to the letter."""

import asyncio
import json
import os

import openai
import pytest

from tests.journeys.conftest import run_engine_script

PROMPT = "Describe a morning in the city."
MAX_TOKENS = 20


@pytest.mark.timeout(600)
async def test_every_answer_is_its_own_adapters(demo, random_adapters):
    assert os.environ["ENGINE_DTYPE"] == "float32", "exact comparison needs a float32 engine"
    models = [demo.upload(folder).model for folder in random_adapters]
    asked = [*zip(models, map(str, random_adapters), strict=True), ("base", None)]
    client = openai.AsyncOpenAI(base_url=f"{demo.site}/v1", api_key=demo.api_key, max_retries=0, timeout=240)

    async def ask(model: str) -> str:
        answer = await client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": PROMPT}],
            max_tokens=MAX_TOKENS,
            temperature=0,
        )
        assert answer.model == model
        return answer.choices[0].message.content

    answers = await asyncio.gather(*(ask(model) for model, _ in asked))
    await client.close()
    requests = json.dumps([{"adapter": folder, "prompt": PROMPT} for _, folder in asked])
    options = ["--base", os.environ["BASE_MODEL_DIR"], "--max-tokens", str(MAX_TOKENS)]
    expected = json.loads(run_engine_script("greedy.py", *options, stdin=requests))
    assert answers == expected
    assert len(set(answers)) == len(asked)
