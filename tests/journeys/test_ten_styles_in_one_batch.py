"""Many users at once, each in another style: every answer is its own adapter's, to the letter."""

import asyncio
import json
import os
from pathlib import Path

import openai

from stack.folders import ROOT
from tests.journeys.conftest import Writer, run_engine_script

PROMPT = "Describe a morning in the city."
MAX_TOKENS = 20
SHIPPED = ("poetry", "legal", "genz")


async def test_every_answer_is_its_own_adapters(demo):
    await assert_own_answers(demo, {style: ROOT / "engine" / "styles" / style for style in SHIPPED})


async def test_every_answer_is_its_own_adapters_of_ten(demo, random_adapters):
    await assert_own_answers(demo, {demo.upload(folder).model: folder for folder in random_adapters})


async def assert_own_answers(demo: Writer, folders: dict[str, Path]) -> None:
    """Ask styles and the base model at once; each must write what PEFT writes with its adapter."""
    assert os.environ["ENGINE_DTYPE"] == "float32", "exact comparison needs a float32 engine"
    asked = [*((model, str(folder)) for model, folder in folders.items()), ("base", None)]
    client = openai.AsyncOpenAI(base_url=f"{demo.site}/v1", api_key=demo.api_key, max_retries=0, timeout=600)

    async def ask(model: str) -> str:
        answer = await client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": PROMPT}],
            max_tokens=MAX_TOKENS,
            temperature=0,
        )
        assert answer.model == model
        return answer.choices[0].message.content

    async with client:
        answers = await asyncio.gather(*(ask(model) for model, _ in asked))
    requests = json.dumps([{"adapter": folder, "prompt": PROMPT} for _, folder in asked])
    options = ["--base", os.environ["BASE_MODEL_DIR"], "--max-tokens", str(MAX_TOKENS)]
    expected = json.loads(run_engine_script("greedy.py", *options, stdin=requests))
    assert answers == expected
    assert len(set(answers)) == len(asked)
