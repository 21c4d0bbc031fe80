"""`make smoke`: the whole stack once, as a newcomer uses it; the last line is SMOKE OK and the seconds."""

import sys

import openai

from stack import services
from stack.api import Api, await_serving, signed_in, upload_style, wait_until
from stack.errors import Miss
from stack.folders import ROOT
from stack.run import folder
from stack.steps import Steps
from stack.whole import bring_up

STYLE = ROOT / "engine" / "styles" / "legal"
SHIPPED_MODEL = "poetry"
SERVING_WITHIN_S = 300.0
COUNTED_WITHIN_S = 300.0
QUESTION = "Describe a morning in the city."
MAX_TOKENS = 24


def smoke() -> int:
    """Run it all in a temporary folder. Raises Miss at the first thing that is not as promised."""
    steps = Steps()
    with folder(None) as folders, services.opened(folders, steps) as stack:
        seeded = bring_up(stack)
        site = stack.addresses.site
        with steps.step("login"):
            signed_in(site, login=seeded.login, password=seeded.password)
        api = Api(site, seeded.api_key)
        with steps.step("upload by presigned POST"):
            upload = upload_style(api, STYLE, sample_prompt=QUESTION)
        with steps.step("serving"):
            await_serving(api, upload, within_s=SERVING_WITHIN_S)
        client = openai.OpenAI(base_url=f"{site}/v1", api_key=seeded.api_key, max_retries=0, timeout=120)
        for model in (SHIPPED_MODEL, upload.model):
            with steps.step(f"answers of {model}"):
                ask(client, model)
        with steps.step("usage rows"):
            await_usage(api, {SHIPPED_MODEL: 2, upload.model: 2})
        elapsed_s = steps.elapsed_s
    sys.stderr.flush()
    print(f"SMOKE OK {elapsed_s:.0f}", flush=True)
    return 0


def ask(client: openai.OpenAI, model: str) -> None:
    """Ask once whole and once streamed. Raises Miss unless both answer with text and count their tokens."""
    messages: list[openai.types.chat.ChatCompletionUserMessageParam] = [{"role": "user", "content": QUESTION}]
    try:
        whole = client.chat.completions.create(model=model, messages=messages, max_tokens=MAX_TOKENS)
        chunks = list(
            client.chat.completions.create(
                model=model,
                messages=messages,
                max_tokens=MAX_TOKENS,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    except openai.OpenAIError as error:
        raise Miss(f"{model} didn't respond: {error}") from None
    if not whole.choices[0].message.content or not whole.usage or not whole.usage.completion_tokens:
        raise Miss(f"{model} returned no text or no usage: {whole}")
    text = ""
    for chunk in chunks:
        for choice in chunk.choices:
            text += choice.delta.content or ""
    usage = chunks[-1].usage if chunks else None
    if not text or not usage or not usage.completion_tokens:
        raise Miss(f"{model} streamed no text or no usage.")


def await_usage(api: Api, requests: dict[str, int]) -> None:
    """Wait until usage counts exactly these requests, by model. Raises Miss."""

    def is_counted() -> bool:
        sums = api.get("usage", group_by="style")["data"]
        counted = {row["style"]: row["requests"] for row in sums}
        return all(counted.get(model) == count for model, count in requests.items())

    wait_until(is_counted, within_s=COUNTED_WITHIN_S, what=f"usage does not count {requests}")
