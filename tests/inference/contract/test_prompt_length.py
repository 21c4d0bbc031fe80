import json

import pytest
from django.conf import settings

from inference.contract import base_model
from inference.contract.prompt_length import NOTHING, Size, longest_token, min_tokens, size_of
from inference.contract.requests import parse_request

tokenizers = pytest.importorskip("tokenizers")
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


@pytest.fixture(scope="module")
def real():
    path = settings.BASE_MODEL_DIR / "tokenizer.json"
    if not path.exists():
        pytest.skip("the base model is not here")
    return tokenizers.Tokenizer.from_file(str(path)), longest_token(path)


@pytest.mark.parametrize(
    "text", ["#" * 60, " " * 64, "-", "Regen und Wind. ", "海と風", "🌊", "\n" + " " * 80]
)
def test_no_text_has_fewer_tokens_than_the_lower_bound(real, text):
    tokenizer, longest = real
    body = json.dumps(
        {"model": "m", "messages": [{"role": "user", "content": text * 400}]}, ensure_ascii=False
    )
    parsed = parse_request("chat", body.encode())
    parsed.body_bytes = 1_000_000  # as if it were long: short bodies are not measured
    assert min_tokens(parsed, longest) <= len(tokenizer.encode(text * 400, add_special_tokens=False).ids)


def test_the_lower_bound_is_of_the_longest_prompt():
    body = json.dumps({"model": "m", "prompt": ["a" * 20_000, "b" * 30_000]})
    assert min_tokens(parse_request("text", body.encode()), Size(10, 10)) == 3_000


@pytest.mark.parametrize(
    ("template", "counted"), [("{{ content }}", 3_000), ("{{ content | trim }}", 0), ("", 0)]
)
def test_blanks_count_where_the_template_keeps_them(tmp_path, monkeypatch, template, counted):
    """The tokenizer takes two seconds for four million of them."""
    monkeypatch.setattr(settings, "BASE_MODEL_DIR", tmp_path)
    if template:
        (tmp_path / "chat_template.jinja").write_text(template)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": " " * 30_000}]})
    assert min_tokens(parse_request("chat", body.encode()), Size(10, 10)) == counted
    assert base_model.keeps_blanks() == bool(counted)


def test_blanks_of_a_prompt_without_a_template_count():
    body = json.dumps({"model": "m", "prompt": ["a", " " * 30_000]})
    assert min_tokens(parse_request("text", body.encode()), Size(10, 10)) == 3_000


@pytest.mark.parametrize(
    ("change", "longest"),
    [
        ({}, Size(5, 1)),
        ({"normalizer": {"type": "Lowercase"}}, NOTHING),
        ({"normalizer": {"type": "Sequence", "normalizers": [{"type": "Strip"}]}}, NOTHING),
        ({"pre_tokenizer": {"type": "Whitespace"}}, NOTHING),
        ({"added_tokens": [{"content": "<mask>", "lstrip": True, "rstrip": False}]}, NOTHING),
        ({"added_tokens": [{"content": "<|end|>", "lstrip": False, "rstrip": False}]}, Size(7, 7)),
    ],
)
def test_a_tokenizer_that_may_shorten_a_text_gives_no_bound(tmp_path, change, longest):
    file = tmp_path / "tokenizer.json"
    plain = {
        "normalizer": None, "pre_tokenizer": BYTE_LEVEL, "added_tokens": [],
        "model": {"type": "BPE", "vocab": {"a": 0, "ĠĠĠĠĠ": 1}, "merges": []},
    }  # fmt: skip
    file.write_text(json.dumps(plain | change))
    assert longest_token(file) == longest
    assert longest_token(tmp_path / "none") == NOTHING


@pytest.mark.parametrize(
    ("text", "size"),
    [("", (0, 0)), ("a", (1, 1)), ("aaab", (4, 2)), ("hello", (5, 4)), ("\0\0a", (3, 1)), ("ää", (4, 4))],
)
def test_repeated_bytes_are_not_counted(text, size):
    assert size_of(text.encode()) == size


def test_ordinary_words_have_a_useful_lower_bound(real):
    words = json.dumps({"model": "m", "prompt": "The sea and the wind and the rain. " * 2_000})
    assert min_tokens(parse_request("text", words.encode()), real[1]) > 2_048
