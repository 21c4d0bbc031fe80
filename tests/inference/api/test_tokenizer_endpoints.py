"""The tokenizer as lm-eval and `vllm bench serve` ask for it, and the counts of both vendors."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from core import valkey as names
from core.version import VERSION
from inference.contract.tokenizer import MAX_BODY_BYTES
from tests.inference.fakes import chat, eventually

ROOT = Path(__file__).parents[3]
TEMPLATE = "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}{% if tools %}tools{% endif %}"
WORDS = ["<s>", "Rain", "falls", "user", "tools", "here", "?"]


@pytest.fixture
def model(settings, tmp_path):
    """A base model of seven words, whose tokenizer begins each text with a special token."""
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=False)
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": len(WORDS)}))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": {"content": "<s>"}, "eos_token": "?",
        "name_or_path": "/srv/secret/base", "model_max_length": 10**30,
    }  # fmt: skip
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "chat_template.jinja").write_text(TEMPLATE)
    settings.BASE_MODEL_DIR = tmp_path
    return tmp_path


@pytest.fixture(params=["", "/v1"])
def below(request):
    """vLLM has these addresses at the root; clients of `/v1` look for them there."""
    return request.param


async def ask(client, path, body, **options):
    status, _, answer = await client.ask(body, path=path, **options)
    return status, json.loads(answer)


async def test_a_text_is_split_and_put_together(client, account, model, below):
    status, answer = await ask(client, f"{below}/tokenize", {"prompt": "Rain falls"})
    assert status == 200
    assert answer == {"count": 3, "max_model_len": 2048, "tokens": [0, 1, 2], "token_strs": None}
    lm_evals = {"prompt": "Rain falls", "add_special_tokens": False}
    _, answer = await ask(client, f"{below}/tokenize", lm_evals)
    assert answer["tokens"] == [1, 2]
    _, answer = await ask(client, f"{below}/detokenize", {"tokens": answer["tokens"]})
    assert answer == {"prompt": "Rain falls"}
    _, answer = await ask(
        client, f"{below}/tokenize", {"model": "poetry", "prompt": "Rain", "return_token_strs": True}
    )
    assert answer["token_strs"] == ["<s>", "Rain"]


async def test_a_chat_is_split_as_its_template_writes_it(client, account, model):
    messages = [{"role": "user", "content": "Rain falls"}]
    _, answer = await ask(client, "/tokenize", {"messages": messages})
    assert answer["tokens"] == [3, 1, 2]
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    _, answer = await ask(client, "/tokenize", {"messages": messages, "tools": [tool]})
    assert answer["tokens"] == [3, 1, 2, 4]
    _, counted = await ask(client, "/v1/messages/count_tokens", chat(messages=messages))
    assert counted == {"input_tokens": 3}
    _, counted = await ask(client, "/v1/responses/input_tokens", {"model": "poetry", "input": "Rain falls"})
    assert counted == {"object": "response.input_tokens", "input_tokens": 3}


async def test_the_tokenizer_describes_itself_without_paths(client, account, model, below):
    status, info = await ask(client, f"{below}/tokenizer_info", b"", method="GET")
    assert (status, info["eos_token"], info["bos_token"], info["pad_token"]) == (200, "?", "<s>", None)
    assert (info["chat_template"], info["model_max_length"]) == (TEMPLATE, 2048)
    assert info["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert "/srv" not in json.dumps(info)


PATHS = ["/tokenize", "/v1/tokenize", "/detokenize", "/v1/detokenize", "/v1/responses/input_tokens"]
BODIES = {"tokenize": {"prompt": "Rain"}, "detokenize": {"tokens": [1]}}
BODIES["input_tokens"] = {"model": "poetry", "input": "Rain"}
BODIES["count_tokens"] = chat()


def body_of(path):
    return BODIES[path.rpartition("/")[2]]


@pytest.mark.parametrize("path", [*PATHS, "/v1/messages/count_tokens"])
async def test_to_limits_it_is_a_request_without_tokens(client, account, model, path):
    assert (await ask(client, path, body_of(path)))[0] == 200
    assert (account.events(), account.held(), account.used()) == ([], 0, 0)
    assert int(float(account.bucket()["requests"])) == 99
    account.limit(requests_per_minute=0.5)
    assert (await ask(client, path, body_of(path)))[0] == 429


@pytest.mark.parametrize("path", [*PATHS, "/tokenizer_info", "/v1/tokenizer_info"])
async def test_it_needs_a_key(client, model, path):
    method = "GET" if path.endswith("info") else "POST"
    body = b"" if method == "GET" else body_of(path)
    status, answer = await ask(client, path, body, method=method, secret="wrong")
    assert (status, answer["error"]["code"]) == (401, "invalid_api_key")


async def test_a_key_of_some_styles_needs_no_name(client, account, model):
    account.offer("legal")
    style = account.written("legal").style
    account.store.hset(names.key_key(account.tenant, account.key), "styles", style)
    assert (await ask(client, "/tokenize", {"prompt": "Rain"}))[0] == 200
    status, answer = await ask(client, "/tokenize", {"prompt": "Rain", "model": "poetry"})
    assert (status, answer["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {}, "prompt"),
        ("/tokenize", {"prompt": ["Rain"]}, "prompt"),
        ("/tokenize", {"prompt": "Rain", "messages": []}, "prompt"),
        ("/tokenize", {"messages": []}, "messages"),
        ("/tokenize", {"prompt": "Rain", "chat_template": "{{ x }}"}, "chat_template"),
        ("/tokenize", {"prompt": "Rain", "evil": 1}, "evil"),
        ("/detokenize", {}, "tokens"),
        ("/detokenize", {"tokens": "1"}, "tokens"),
        ("/detokenize", {"tokens": [7]}, "tokens"),
        ("/detokenize", {"tokens": [-1]}, "tokens"),
        ("/v1/responses/input_tokens", {"model": "poetry"}, "input"),
        ("/v1/responses/input_tokens", {"model": "poetry", "input": "x", "stream": True}, "stream"),
    ],
)
@pytest.mark.usefixtures("account", "model")
async def test_what_is_wrong_is_named(client, path, body, param):
    status, answer = await ask(client, path, body)
    assert (status, answer["error"]["param"]) == (400, param)


async def test_how_much_is_split_at_once_is_bounded(client, account, model):
    longest = MAX_BODY_BYTES - len(json.dumps({"prompt": ""}))
    status, answer = await ask(client, "/tokenize", {"prompt": "Rain ".ljust(longest, "x")})
    assert (status, answer["count"]) == (200, 3)  # it may be longer than the model's context
    status, answer = await ask(client, "/tokenize", {"prompt": "x" * (longest + 1)})
    assert (status, str(MAX_BODY_BYTES) in answer["error"]["message"]) == (413, True)
    assert (await ask(client, "/detokenize", {"tokens": [1] * MAX_BODY_BYTES}))[0] == 413


async def test_long_texts_count_as_work_and_short_ones_do_not(client, account, model, settings):
    settings.API_REFUSALS_PER_KEY = 100
    for _ in range(settings.API_REFUSALS_PER_KEY + 10):
        assert (await ask(client, "/tokenize", {"prompt": "Rain " * 3000}))[0] == 200
        account.store.delete(names.bucket_key(account.tenant))
    for _ in range(2):  # 240 KB: 60 each
        assert (await ask(client, "/tokenize", {"prompt": "Rain " * 48_000}))[0] == 200
        await eventually(lambda: account.store.keys("*:refusals:*"))
    status, answer = await ask(client, "/tokenize", {"prompt": "Rain"})
    assert (status, "Too many failed requests" in answer["error"]["message"]) == (429, True)


async def test_a_server_without_the_tokenizer_says_so(client, account, settings, tmp_path):
    settings.BASE_MODEL_DIR = tmp_path
    for path, body in (("/tokenize", {"prompt": "x"}), ("/detokenize", {"tokens": [1]})):
        status, answer = await ask(client, path, body)
        assert (status, answer["error"]["code"]) == (404, "no_tokenizer")
    assert (await ask(client, "/tokenizer_info", b"", method="GET"))[0] == 404


async def test_the_version_is_told_to_everybody(client, settings):
    status, answer = await ask(client, "/version", b"", method="GET", secret="wrong")
    assert (status, answer) == (200, {"version": VERSION})
