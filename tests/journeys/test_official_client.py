"""The official Python client, unchanged, against the whole stack; and vLLM's own benchmark through it."""

import json
import os
import re
import subprocess
from contextlib import suppress
from uuid import uuid4

import openai
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState

from stack.api import await_serving, upload_style
from tests.journeys.builders import KEY, QUESTION, Sky, billed
from tests.journeys.conftest import ENGINE_PYTHON
from tests.waiting import eventually

BENCHMARK = """
from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
add_cli_args(parser)
main(parser.parse_args())
"""  # `vllm bench serve`: the `vllm` command itself fails in the CPU package


def test_the_lesson_runs_as_written(demo):
    client = demo.client
    answer = client.chat.completions.create(model="poetry", messages=QUESTION, max_tokens=40)
    assert answer.model == "poetry"
    assert answer.choices[0].message.content
    assert {"base", "genz", "legal", "poetry"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("poetry").id == "poetry"


def test_styles_are_served_beside_adapters_that_the_engine_was_started_with(demo):
    assert "--lora-modules" in os.environ["ENGINE_OPTIONS"]
    engines = demo.session.get("/console/adapters/engine/").text
    assert "Started with static modules: poetry-bot, legal-bot" in engines
    assert demo.say("legal", "Why is the sky blue?", max_tokens=8)


def _stopped(answer) -> None:
    [choice] = answer.choices
    assert choice.finish_reason == "stop"
    assert " the" not in choice.message.content


def _five_tokens(answer) -> None:
    assert answer.usage.completion_tokens == 5
    assert answer.choices[0].finish_reason == "length"


def _three_answers(answer) -> None:
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert all(choice.message.content for choice in answer.choices)
    assert 8 < answer.usage.completion_tokens <= 3 * 8


def _probabilities(answer) -> None:
    [choice] = answer.choices
    tokens = choice.logprobs.content
    assert "".join(token.token for token in tokens) == choice.message.content
    assert len(tokens) == answer.usage.completion_tokens
    assert all(len(token.top_logprobs) == 2 and token.logprob <= 0 for token in tokens)


def _an_object(answer) -> None:
    assert isinstance(json.loads(answer.choices[0].message.content), dict)


JSON = {"type": "json_object"}
FEATURES = {
    "stop": ({"stop": [" the", "The"], "max_tokens": 60, "temperature": 0}, _stopped),
    "max_completion_tokens": ({"max_completion_tokens": 5, "temperature": 0}, _five_tokens),
    "n": ({"n": 3, "temperature": 1, "seed": 7, "max_tokens": 8}, _three_answers),
    "logprobs": ({"logprobs": True, "top_logprobs": 2, "max_tokens": 6, "temperature": 0}, _probabilities),
    "json_object": ({"response_format": JSON, "max_tokens": 60, "temperature": 0}, _an_object),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("options", "holds"), FEATURES.values(), ids=FEATURES)
def test_every_feature_answers_and_is_billed_what_was_reported(demo, options, holds, stream):
    asked = {"model": "poetry", "messages": QUESTION} | options
    if stream:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    raw = demo.client.chat.completions.with_raw_response.create(**asked)
    answer = raw.parse()
    if stream:
        state = ChatCompletionStreamState()
        for chunk in answer:
            state.handle_chunk(chunk)
        answer = state.current_completion_snapshot
    holds(answer)
    assert billed(demo, raw.headers["x-request-id"]) == (
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
    )


@pytest.mark.parametrize("extra", [{"echo": True}, {"logprobs": 1}], ids=["echo", "logprobs"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_several_prompts_and_choices_of_each_are_one_request(demo, extra, stream):
    prompts = ["The sea", "Once upon a time there was"]
    options = {"model": "genz", "prompt": prompts, "n": 2, "max_tokens": 4, "temperature": 1} | extra
    if stream:
        options |= {"stream": True, "stream_options": {"include_usage": True}}
    raw = demo.client.completions.with_raw_response.create(**options)
    parts = list(raw.parse()) if stream else [raw.parse()]
    texts, tokens = dict.fromkeys(range(4), ""), dict.fromkeys(range(4), "")
    for choice in (choice for part in parts for choice in part.choices):
        texts[choice.index] += choice.text
        tokens[choice.index] += "".join(choice.logprobs.tokens) if choice.logprobs else ""
    if "echo" in extra:
        assert all(text.startswith(prompts[index // 2]) for index, text in texts.items())
    else:
        # Half a character may be drawn, which only its token shows.
        whole = {index: text for index, text in tokens.items() if "\ufffd" not in text}
        assert {index: texts[index] for index in whole} == {
            index: text.removesuffix("<|im_end|>") for index, text in whole.items()
        }
    usage = parts[-1].usage
    assert 4 < usage.completion_tokens <= 4 * 4
    assert billed(demo, raw.headers["x-request-id"]) == (usage.prompt_tokens, usage.completion_tokens)


def test_an_echo_with_probabilities_is_refused(demo):
    """vLLM's CPU build dies of it, for every tenant, as soon as two texts are in one batch."""
    with pytest.raises(openai.BadRequestError) as raised:
        demo.client.completions.create(
            model="genz", prompt=["The sea", "Once upon a time"], max_tokens=4, echo=True, logprobs=1
        )
    assert raised.value.param == "logprobs"


def test_vllms_own_ways_of_structured_output_are_served(demo):
    wanted = {
        "blue|red": {"choice": ["blue", "red"]},
        "(blue|red) [0-9]{2}": {"regex": "(blue|red) [0-9]{2}"},
        r"\{.*(blue|red).*\}": {"json": Sky.model_json_schema()},
    }
    for pattern, structured in wanted.items():
        text = demo.say(
            "poetry",
            "Why is the sky blue?",
            max_tokens=60,
            temperature=0,
            extra_body={"structured_outputs": structured},
        )
        assert re.fullmatch(pattern, text, re.DOTALL), structured


def test_lengths_and_token_ids_are_served_as_vllm_has_them(demo):
    asked = {"model": "poetry", "messages": QUESTION, "temperature": 0}
    whole = demo.client.chat.completions.create(**asked, max_tokens=100, extra_body={"ignore_eos": True})
    assert whole.usage.completion_tokens == 100
    first = demo.client.completions.create(model="poetry", prompt=[5, 6, 7], temperature=0)
    assert first.usage.prompt_tokens == 3
    assert first.usage.completion_tokens <= 16
    text = demo.client.completions.create(model="poetry", prompt="The sea", temperature=0, logprobs=1)
    ids = {"2": 100}
    ended = demo.client.completions.create(
        model="poetry", prompt="The sea", temperature=0, logit_bias=ids, extra_body={"min_tokens": 4}
    )
    assert ended.usage.completion_tokens == 5
    assert text.choices[0].text


OPENAIS_FIELDS = {
    "id",
    "object",
    "created",
    "model",
    "choices",
    "usage",
    "service_tier",
    "system_fingerprint",
}
OPENAIS_SAID = {"role", "content", "refusal", "annotations", "audio", "function_call", "tool_calls"}


def test_answers_are_what_the_documents_say_with_openais_fields_only(demo):
    """What only vLLM has (token ids, stop reasons, reasoning, its fingerprint) stays in the engine.

    A stream has one field of ours, in its last choice's event; a whole answer has it as a header.
    """
    asked = {"model": "poetry", "messages": QUESTION, "max_tokens": 4, "temperature": 1}
    create = demo.client.chat.completions.with_streaming_response.create
    with create(**asked) as response:
        whole = json.loads(response.read())
    with create(**asked, stream=True) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-request-id"].startswith("req_")
        # While a request waits, comments keep its connection.
        *lines, done = [line for line in response.iter_lines() if line and line != ": waiting"]
    assert done == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert not any("usage" in chunk for chunk in chunks)
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    assert sum(bool(chunk.pop("watermark", "")) for chunk in chunks) == 1
    for part in (whole, *chunks):
        assert part.keys() <= OPENAIS_FIELDS
        assert part.get("system_fingerprint", "fp_").startswith("fp_")
        for choice in part["choices"]:
            assert choice.keys() <= {"index", "message", "delta", "logprobs", "finish_reason"}
            assert (choice.get("message") or choice.get("delta")).keys() <= OPENAIS_SAID


def test_completions_and_provenance(demo):
    raw = demo.client.completions.with_raw_response.create(model="genz", prompt="The sea", max_tokens=8)
    assert raw.parse().choices[0].text
    assert raw.headers["x-polyscribe-style"] == "genz"
    assert len(raw.headers["x-polyscribe-adapter-sha256"]) == 64
    assert raw.headers["x-request-id"].startswith("req_")
    assert int(raw.headers["x-ratelimit-remaining-requests"]) >= 0


def test_a_stranger_has_the_first_partys_styles_from_the_start_and_nothing_of_others(
    demo, stranger, random_adapters
):
    own = demo.upload(random_adapters[0]).model
    assert demo.say(own, "Hello", max_tokens=4)
    assert demo.client.models.retrieve(own).id == own
    with pytest.raises(openai.NotFoundError):
        stranger.say(own, "Hello", max_tokens=4)
    models = {model.id for model in stranger.client.models.list()}
    assert {"base", "poetry"} <= models
    assert not any("/" in model for model in models)
    assert stranger.say("poetry", "Hello", max_tokens=4)

    headers = {"Authorization": f"Bearer {stranger.api_key}"}
    answer = stranger.session.delete("/api/v1/styles/polyscribe/poetry/selection", headers=headers)
    assert answer.status_code == 204

    def is_gone() -> bool:
        return "poetry" not in {model.id for model in stranger.client.models.list()}

    eventually(is_gone, within_s=300, what="an unselected style is still there")
    with pytest.raises(openai.NotFoundError):
        stranger.say("poetry", "Hello", max_tokens=4)


def test_a_revoked_key_is_refused_from_the_next_request_on(stranger):
    assert stranger.say("base", "Hello", max_tokens=4)
    page = stranger.session.get("/keys/").text
    [path] = re.findall(r'action="(/keys/[^"]+/revoke/)"', page)
    stranger.post(path, name="journey")
    with pytest.raises(openai.AuthenticationError):
        stranger.say("base", "Hello", max_tokens=4)


@pytest.mark.parametrize(
    ("options", "least"),
    [({"n": 4, "messages": QUESTION}, 4 * 3), ({"prompt": ["The sea", "A ship"], "n": 2}, 4 * 3)],
    ids=["chat", "text"],
)
def test_a_hang_up_is_billed_every_choice(demo, options, least):
    """The engine counts each choice by itself until the end: the sum is what was made."""
    kind = demo.client.chat.completions if "messages" in options else demo.client.completions
    raw = kind.with_raw_response.create(
        model="poetry",
        max_tokens=400,
        temperature=1,
        stream=True,
        logit_bias={"0": -100, "2": -100},
        **options,
    )
    seen: dict[int, int] = {}
    for chunk in (stream := raw.parse()):
        seen[chunk.choices[0].index] = seen.get(chunk.choices[0].index, 0) + 1
        if len(seen) == 4 and min(seen.values()) >= 4:
            break
    stream.close()
    prompt, written = billed(demo, raw.headers["x-request-id"], outcome="disconnected")
    assert least <= written < 400
    if "prompt" in options:
        assert prompt == 4


COUNTED = {"model": "base", "messages": [{"role": "user", "content": "Hello"}]}


def test_the_free_plans_limits_hold_and_a_patient_client_waits(stranger):
    def hurry() -> None:
        # Counting is a request that no engine works on: however slow this machine is, they come quicker than
        # the minute's bucket fills.
        for _ in range(30):
            for _ in range(30):
                with suppress(openai.RateLimitError):
                    stranger.client.post("/messages/count_tokens", cast_to=object, body=COUNTED)
            stranger.say("base", "Hello", max_tokens=1)

    with pytest.raises(openai.RateLimitError) as raised:
        hurry()
    assert (raised.value.code, raised.value.type) == ("rate_limit_exceeded", "requests")
    assert int(raised.value.response.headers["retry-after"]) >= 1
    patient = stranger.client.with_options(max_retries=3).chat.completions.with_raw_response
    waited = patient.create(model="base", messages=QUESTION, max_tokens=1)
    assert waited.retries_taken >= 1
    assert waited.parse().choices


@pytest.mark.parametrize(
    ("limit", "code", "kind"),
    [
        ("monthly_tokens", "insufficient_quota", "insufficient_quota"),
        ("tokens_per_minute", "rate_limit_exceeded", "tokens"),
    ],
)
def test_what_waiting_cannot_help_is_not_tried_again(demo, limit, code, kind):
    name = f"small-{uuid4().hex[:8]}"
    issued = demo.post("/keys/issue/", name=name, lifetime_days="", scopes="inference", **{limit: "100"})
    sent: list[object] = []
    http = openai.DefaultHttpxClient(event_hooks={"request": [sent.append]})
    client = demo.client.with_options(api_key=KEY.search(issued).group(), http_client=http, max_retries=2)
    with client, pytest.raises(openai.RateLimitError) as raised:
        client.completions.create(model="base", prompt="Hello", max_tokens=200)
    assert (raised.value.code, raised.value.type) == (code, kind)
    assert len(sent) == 1


def test_who_asks_for_a_style_on_its_way_waits_and_gets_its_text(stranger, random_adapters):
    upload = upload_style(stranger.api, random_adapters[2])
    asking = stranger.client.chat.completions.with_raw_response.create
    answer = asking(model=upload.model, messages=QUESTION, max_tokens=4)
    assert answer.parse().model == upload.model
    assert answer.headers["x-adapter-state"] == "loading"
    await_serving(stranger.api, upload, within_s=300)


# On a busy engine a stream begins with a comment. vLLM's client strips each chunk, the blank line behind the
# comment, too, and takes all that follows for a part of it.
@pytest.mark.alone
def test_vllms_own_benchmark_runs_through_the_gateway(demo, tmp_path):
    service = {"backend": "openai-chat", "base-url": demo.site, "endpoint": "/v1/chat/completions"}
    model = {"model": "poetry", "tokenizer": os.environ["BASE_MODEL_DIR"]}
    load = {"dataset-name": "random", "num-prompts": "6", "max-concurrency": "3"}
    lengths = {"random-input-len": "24", "random-output-len": "8"}
    result = {"result-dir": str(tmp_path), "result-filename": "result.json"}
    options = service | model | load | lengths | result
    words = [f"--{name}={value}" for name, value in options.items()]
    done = subprocess.run(
        [ENGINE_PYTHON, "-c", BENCHMARK, "--save-result", "--save-detailed", "--disable-tqdm", *words],
        env=os.environ | {"OPENAI_API_KEY": demo.api_key, "HF_HUB_OFFLINE": "1", "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["completed"], result["failed"]) == (6, 0), result["errors"]
    assert 6 <= result["total_output_tokens"] <= 6 * 8
    assert result["mean_ttft_ms"] > 0
