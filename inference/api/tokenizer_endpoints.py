"""`/tokenize`, `/detokenize`, `/tokenizer_info`: the base model's tokenizer, as vLLM offers its own."""

from inference.api.models_endpoint import read_snapshot, usable_models
from inference.api.refusal_counts import TOKEN_COUNT_FACTOR, count_work
from inference.contract import tokenizer
from inference.contract.prompt_length import SHORT_BYTES
from inference.contract.requests import ParsedRequest
from inference.contract.route import BASE_NAME
from inference.contract.tokenizer import TokenTask
from inference.facts import JsonObject
from inference.proxy.request import admit_without_tokens
from inference.proxy.runtime import Gateway
from inference.quota.admission import Caller


async def run_task(
    gateway: Gateway, caller: Caller, task: TokenTask, *, request_id: str, body_bytes: int
) -> JsonObject:
    """Return the answer of a task. To every limit it is a request of no tokens, like a count of tokens.

    A long text counts in the key's bucket of refusals, too, as one that was counted and refused.
    """
    model = task.model or await _choose_model(gateway, caller)
    async with admit_without_tokens(gateway, caller, _empty_request(model), request_id) as grant:
        if body_bytes > SHORT_BYTES:  # half a second of a processor at most
            count_work(gateway, caller, TOKEN_COUNT_FACTOR * body_bytes)
        answer = await gateway.tokens.run(caller.names.tenant, task.run)
    if "tokens" in answer:
        answer["max_model_len"] = grant.route.max_model_len or gateway.routes.tables.base_context
    return answer


async def describe_tokenizer(gateway: Gateway, caller: Caller) -> JsonObject:
    """Return the tokenizer's settings. Raises what admission raises for a key that is not served."""
    await read_snapshot(gateway, caller)
    return tokenizer.describe_tokenizer(gateway.routes.tables.base_context)


async def _choose_model(gateway: Gateway, caller: Caller) -> str:
    """Return a model that the key may use, one that is loaded if there is one."""
    usable = usable_models(gateway, await read_snapshot(gateway, caller))
    if BASE_NAME in usable:
        return BASE_NAME
    return min(usable, key=lambda name: (not usable[name].route.placements, name), default=BASE_NAME)


def _empty_request(model: str) -> ParsedRequest:
    """Return what admission reads: a text may be longer than the model's context, and no engine gets it."""
    return ParsedRequest(
        kind="text",
        model=model,
        fields={"prompt": ""},
        stream=False,
        include_usage=False,
        output_tokens=1,
        choices=1,
        choices_per_prompt=1,
        body_bytes=0,
        prompt_field="prompt",
    )
