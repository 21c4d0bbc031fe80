"""What is accepted, what is refused and why, and that neither costs memory."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from adapters.errors import UnreadableBase
from adapters.uploads.sessions import CONVERSIONS
from adapters.validation import (
    PROBLEMS,
    BaseShape,
    LocalFile,
    Report,
    Shortened,
    base_model_reader,
    validate_adapter,
    validate_folder,
)
from adapters.validation.findings import LISTED
from adapters.validation.limits import UPLOAD_LIMIT
from adapters.validation.problems import SECTIONS
from adapters.validation.shapes import split, state_of_words
from adapters.validation.weights import BOUND, VALUE_LIMIT
from labs.broken_adapters.parts import PREFIX, WEIGHTS, Adapter, packed, safetensors
from tests.adapters.validation.sources import (
    Bytes,
    Endless,
    config_of,
    memory_below,
    wide_base,
    wide_weights,
)
from tests.fakes import broken_adapters as broken
from tests.fakes.broken_adapters import tiny_base, valid_adapter

MAX_RANK = 16
MEMORY_BYTES = 64 * 1024 * 1024
DOCS = Path(__file__).parents[3] / "docs" / "adapters.md"
WITHOUT_FILES = {
    *SECTIONS["Archives"],
    "weights_too_large",
    "file_misnamed",
    "file_pickle",
    "file_archive",
    "config_duplicate",
    "more",
}


@pytest.fixture
def base() -> BaseShape:
    return tiny_base()


def check(adapter: Adapter, base: BaseShape, **options: object) -> Report:
    return validate_adapter(adapter.config_bytes, Bytes(adapter.weights), base, MAX_RANK, **options)


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


# What is accepted.


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, np.float32])
def test_a_plain_adapter_is_valid_in_each_precision(base, dtype):
    adapter = valid_adapter(base, dtype=dtype)
    report = check(adapter, base)
    assert report.findings == ()
    assert (report.rank, report.alpha, report.layers) == (8, 16.0, 12)
    assert report.target_modules == ("down_proj", "q_proj", "up_proj", "v_proj")
    assert report.sha256 == hashlib.sha256(adapter.weights).hexdigest()
    assert report.size_bytes == len(adapter.weights)


def test_what_engines_serve_is_accepted(base):
    for changes in (
        {"use_rslora": True},
        {"init_lora_weights": "gaussian"},
        {"init_lora_weights": "eva", "eva_config": {"rho": 2.0}},
        {"target_modules": "all-linear"},
        {"target_modules": r"model\.layers\.\d+\..*(q|v|up|down)_proj"},
        {"layers_to_transform": [0, 1, 2]},
        {"exclude_modules": ["lm_head"]},
        {"alpha_pattern": {"layers.1.self_attn.q_proj": 32}},
        {"base_model_name_or_path": "/home/me/models/TINY-instruct/"},
        {"base_model_name_or_path": "/root/.cache/hub/models--a--Tiny-Instruct/snapshots/0a1b2c"},
        {"note": json.loads("[" * 31 + "]" * 31)},
        {"task_type": None, "auto_mapping": {"unsloth_fixed": True}, "peft_version": "0.21.2"},
    ):
        adapter = valid_adapter(base)
        adapter.config.update(changes)
        assert check(adapter, base).findings == (), changes


def test_some_layers_are_enough(base):
    adapter = valid_adapter(base)
    adapter.tensors = {name: tensor for name, tensor in adapter.tensors.items() if "layers.2." in name}
    report = check(adapter, base)
    assert report.is_valid
    assert report.layers == 4


def test_ranks_may_differ_by_pattern(base):
    adapter, smaller = valid_adapter(base), valid_adapter(base, rank=3)
    adapter.tensors.update(
        {name: t for name, t in smaller.tensors.items() if "layers.1.self_attn.q_proj" in name}
    )
    adapter.config["rank_pattern"] = {"layers.1.self_attn.q_proj": 3}
    assert check(adapter, base).is_valid


def test_the_order_in_the_file_does_not_matter(base, monkeypatch):
    adapter = valid_adapter(base)
    expected = check(adapter, base).strongest
    adapter.tensors = dict(sorted(adapter.tensors.items(), key=lambda item: item[0].split(".lora_")[1]))
    assert check(adapter, base).strongest == expected
    monkeypatch.setattr("adapters.validation.weights.KEPT_PRODUCT_BYTES", 1000)
    assert check(adapter, base).strongest == expected


@pytest.mark.parametrize("block", [1024, 1025, 4096])
def test_blocks_and_chunks_may_cut_anywhere(base, monkeypatch, block):
    expected = check(valid_adapter(base), base)
    monkeypatch.setattr("adapters.validation.weights.BLOCK_BYTES", block)
    monkeypatch.setattr("adapters.validation.weights.CHUNK_BYTES", 200)
    assert check(valid_adapter(base), base) == expected


def test_the_file_is_read_once(base):
    source = Bytes(valid_adapter(base).weights)
    validate_adapter(valid_adapter(base).config_bytes, source, base, MAX_RANK)
    header_bytes = 64 + int.from_bytes(source.data[:8], "little")
    assert source.bytes_read == source.size + header_bytes


# The norm.


@pytest.mark.parametrize("is_stabilised", [False, True])
def test_strength_is_that_of_the_product(base, is_stabilised):
    adapter = valid_adapter(base, dtype=np.float32)
    adapter.config["use_rslora"] = is_stabilised
    scale = 16 / (np.sqrt(8) if is_stabilised else 8)
    ratios = {
        module: scale * np.linalg.norm(_factor(adapter, module, "B") @ _factor(adapter, module, "A")) / 20
        for module in base.modules
    }
    strongest = check(adapter, base).strongest
    assert strongest.module == max(ratios, key=ratios.get)
    assert strongest.ratio == pytest.approx(max(ratios.values()), rel=1e-9)


def _factor(adapter: Adapter, module: str, side: str) -> np.ndarray:
    return adapter.tensors[f"{PREFIX}{module}.lora_{side}.weight"].astype("f8")


def test_a_large_float32_factor_is_judged_nearly_the_same(base, monkeypatch):
    adapter = valid_adapter(base, dtype=np.float32)
    expected = check(adapter, base).strongest
    monkeypatch.setattr("adapters.validation.weights.FLOAT32_FACTOR_BYTES", 10)
    assert check(adapter, base).strongest.ratio == pytest.approx(expected.ratio, rel=0.01)


def test_the_bound_is_where_it_says(base):
    adapter = valid_adapter(base)
    ratio = check(adapter, base).strongest.ratio
    adapter.config["lora_alpha"] = 16 * BOUND / ratio * 0.99
    assert check(adapter, base).is_valid
    adapter.config["lora_alpha"] = 16 * BOUND / ratio * 1.01
    assert codes(check(adapter, base)) == {"too_strong"}


def test_pattern_scales_count(base):
    adapter = valid_adapter(base)
    adapter.config["alpha_pattern"] = {"^model.layers.2.mlp.up_proj": 160}
    assert check(adapter, base).strongest.module == "model.layers.2.mlp.up_proj"


# What is refused.


@pytest.mark.parametrize("kind", broken.KINDS)
def test_each_broken_kind_is_refused_for_its_reason(base, tmp_path, kind):
    broken.make(kind, tmp_path, base)
    report = validate_folder(tmp_path, base, MAX_RANK)
    assert codes(report) - {"more"} == {broken.CODES[kind]}
    assert not report.is_valid
    for finding in report.findings:
        assert finding.sentence.endswith(".")
        assert finding.fix.endswith(".")
        assert "{" not in finding.sentence + finding.fix


@pytest.mark.parametrize("config_rank", [4, 512])
def test_a_mistake_about_the_rank_is_said_once_with_one_advice(config_rank):
    """It gave 51 reasons: each tensor's, and the advice to train again beside the right one."""
    base = tiny_base(layers=30)
    adapter = valid_adapter(base)
    adapter.config["r"] = config_rank
    finding, *rest = check(adapter, base).findings
    assert finding.code == "rank_mismatch"
    assert finding.fix == "Upload the adapter_config.json that was saved with these weights."
    assert [one.code for one in rest] == ["more"]


def test_a_finding_names_the_tensor_and_the_way_out(base):
    adapter = valid_adapter(base)
    broken.KINDS["default_infix"](adapter, base)
    finding = check(adapter, base).findings[0]
    assert finding.tensor == "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight"
    assert finding.tensor in finding.sentence
    assert "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight" in finding.fix


@pytest.mark.parametrize("is_turned", [False, True])
@pytest.mark.parametrize(
    "kind", ["nan", "infinity", "zero_b", "vanishing", "huge_weights", "strong", "cancelling"]
)
def test_a_finding_about_weights_names_their_tensor(base, kind, is_turned):
    adapter, spoilt = valid_adapter(base), valid_adapter(base)
    broken.KINDS[kind](spoilt, base)
    pair = {each: broken.first(adapter, each) for each in "AB"}  # the others stay sane
    adapter.tensors |= {name: spoilt.tensors[name] for name in pair.values()}
    if is_turned:
        adapter.tensors = dict(reversed(adapter.tensors.items()))
    (finding,) = check(adapter, base).findings
    assert (finding.code, finding.tensor) == (broken.CODES[kind], pair["A" if kind == "infinity" else "B"])
    assert finding.tensor in finding.sentence


def test_all_findings_are_collected_and_a_long_list_is_closed():
    base = tiny_base(layers=30)
    adapter = valid_adapter(base)
    adapter.config.update(use_dora=True, bias="all", base_model_name_or_path="other")
    broken.KINDS["nan"](adapter, base)
    broken.KINDS["no_prefix"](adapter, base)
    findings = check(adapter, base).findings
    assert {"dora", "bias", "base_mismatch", "name_prefix"} <= {finding.code for finding in findings}
    assert len(findings) == LISTED + 1
    assert findings[-1].sentence == f"And {3 + 240 - LISTED} more like these."


def test_a_strangers_text_is_shown_short_and_printable(base):
    adapter = valid_adapter(base)
    adapter.tensors["\x00\x1b[31m\u202e" + "x" * 5000] = np.ones((1,), "f4")
    adapter.config["peft_type"] = ["\ud800", "{0}"]
    report = check(adapter, base)
    text = json.dumps([finding.sentence for finding in report.findings], ensure_ascii=False)
    assert text.isprintable()
    assert text.encode()
    assert len(text) < 1000


def test_configs_that_readers_would_not_agree_on(base):
    weights = Bytes(valid_adapter(base).weights)
    for text, code in (
        (b"", "config_not_json"),
        (b"[]", "config_not_json"),
        (b"\xff\xfe{}", "config_not_json"),
        (b"\xef\xbb\xbf{}", "config_not_json"),
        (b"[" * 60_000, "config_not_json"),
        (b'{"note": ' + b"[" * 32 + b"]" * 32 + b"}", "config_not_json"),  # engines give up at some hundreds
        (b'{"lora_alpha": NaN}', "config_not_json"),
        (b'{"r": ' + b"9" * 5000 + b"}", "config_not_json"),
        (b'{"r": 8, "r": 16}', "config_duplicate"),
        (b'{"r": 1e999}', "rank_invalid"),
    ):
        assert code in codes(validate_adapter(text, weights, base, MAX_RANK)), text[:80]


def test_a_file_over_the_limit_of_uploads_is_not_read(base):
    @dataclass
    class Unread(Bytes):
        size: int = UPLOAD_LIMIT + 1

    source = Unread(b"")
    assert codes(validate_adapter(valid_adapter(base).config_bytes, source, base, MAX_RANK)) == {
        "weights_too_large"
    }
    assert source.bytes_read == 0


def test_a_file_that_shrinks_meanwhile_is_an_error_not_a_finding(base):
    @dataclass
    class Shrinking(Bytes):
        def read(self, start: int, length: int) -> bytes:
            return super().read(start, length)[: 2000 if start == 0 else length]

    with pytest.raises(Shortened):
        validate_adapter(
            valid_adapter(base).config_bytes, Shrinking(valid_adapter(base).weights), base, MAX_RANK
        )


def test_sixteen_bit_overflow_is_caught_although_float32_holds_it(base):
    adapter = valid_adapter(base, dtype=np.float32)
    adapter.tensors[broken.first(adapter)].flat[0] = VALUE_LIMIT * 100
    assert codes(check(adapter, base)) == {"value_too_large"}


# Folders.


def test_a_folder_is_told_what_is_wrong_with_its_files(base, tmp_path):
    valid_adapter(base).write(tmp_path)
    (tmp_path / "README.md").write_text("A model card does no harm.")
    assert validate_folder(tmp_path, base, MAX_RANK).is_valid
    (tmp_path / "adapter_model.bin").write_bytes(b"\x80\x04.")
    (tmp_path / "all.tar.gz").write_bytes(b"")
    assert codes(validate_folder(tmp_path, base, MAX_RANK)) == {"file_pickle", "file_archive"}
    (tmp_path / WEIGHTS).rename(tmp_path / "pytorch_lora_weights.safetensors")
    assert "file_misnamed" in codes(validate_folder(tmp_path, base, MAX_RANK))


# Quantisation.


def test_names_tell_how_a_base_is_quantised():
    expected = {
        "Llama-3.1-8B-Instruct": ("Llama-3.1-8B-Instruct", ""),
        "llama-3-8b-unsloth-bnb-4bit": ("llama-3-8b", "bitsandbytes 4-bit"),
        "Llama-8B-4-bit": ("Llama-8B", "bitsandbytes 4-bit"),
        "Qwen2.5-7B-Instruct-GPTQ-Int4": ("Qwen2.5-7B-Instruct", "GPTQ"),
        "Qwen2.5-7B-AWQ": ("Qwen2.5-7B", "AWQ"),
        "Llama-8B-FP8-dynamic": ("Llama-8B", "FP8"),
        "model-8bit": ("model", "bitsandbytes 8-bit"),
        "AWQ": ("AWQ", ""),
        "": ("", ""),
    }
    assert {name: split(name) for name in expected} == expected


def test_words_tell_how_a_base_is_quantised():
    words = ["4-bit", "QLoRA", "none", "bf16", "awq", "my own way"]
    states = ["bitsandbytes 4-bit", "bitsandbytes 4-bit", "", "", "AWQ", "my own way"]
    assert [state_of_words(word) for word in words] == states


def test_an_adapter_fits_the_same_quantised_base_only(base):
    quantised = replace(base, config={**base.config, "quantization_config": {"quant_method": "bitsandbytes"}})
    adapter = valid_adapter(base)
    assert codes(check(adapter, quantised)) == {"quantisation_mismatch"}
    assert check(adapter, quantised, stated_quantisation="4-bit").is_valid
    assert codes(check(adapter, base, stated_quantisation="4-bit")) == {"quantisation_mismatch"}
    adapter.config["base_model_name_or_path"] = "unsloth/Tiny-Instruct-bnb-4bit"
    assert check(adapter, quantised).is_valid
    assert check(adapter, quantised, stated_quantisation="none").is_valid  # the files know better
    assert check(adapter, quantised, stated_quantisation="other").is_valid
    assert codes(check(valid_adapter(base), base, stated_quantisation="other")) == {"quantisation_mismatch"}


# Memory.


def test_three_hundred_megabytes_need_little_memory():
    base = wide_base(layers=600)
    source = wide_weights(base)
    assert source.size > 300_000_000
    with memory_below(MEMORY_BYTES / 2):
        report = validate_adapter(config_of(base), source, base, MAX_RANK)
    assert report.findings == ()
    assert report.layers == 600


def test_one_huge_stranger_needs_little_memory():
    length = 400 * 1024 * 1024
    entry = {"dtype": "F32", "shape": [length // 4], "data_offsets": [0, length]}
    text = packed(json.dumps({"x": entry}), b"")
    base = wide_base(layers=1)
    with memory_below(MEMORY_BYTES / 2):
        source = Endless(text, bytes(1000), len(text) + length)
        report = validate_adapter(config_of(base), source, base, MAX_RANK)
    assert codes(report) == {"name_unknown"}


@pytest.mark.parametrize(
    "filling", ['"%d":{}', '"%d":[]', '"%d":[[],[],[],[],[],[],[],[]]', '"%d":0', '"\U0001f600%d":""']
)
def test_hostile_headers_need_little_memory(base, filling):
    most = 1024 * 1024
    parts, length = [], 2
    while length < most - 100:
        parts.append(filling % len(parts))
        length += len(parts[-1].encode()) + 1
    weights = Bytes(packed("{" + ",".join(parts) + "}", b""))
    with memory_below(MEMORY_BYTES):
        report = validate_adapter(config_of(base, rank=8), weights, base, MAX_RANK)
    assert codes(report) >= {"header_entry", "more"}


# Mutations.


def test_no_single_changed_byte_crashes_it(base):
    adapter = valid_adapter(tiny_base(layers=1), rank=1)
    whole_file, dice = adapter.weights, np.random.default_rng(3)
    header_end = 8 + int.from_bytes(whole_file[:8], "little")
    for position in [*range(header_end), *dice.integers(header_end, len(whole_file), 200)]:
        mutated = bytearray(whole_file)
        mutated[position] ^= 1 << int(dice.integers(8))
        report = validate_adapter(adapter.config_bytes, Bytes(bytes(mutated)), tiny_base(layers=1), MAX_RANK)
        assert report.is_valid or all(finding.code in PROBLEMS for finding in report.findings)


# Base models.


def _base_folder(folder: Path, dtype: object = ml_dtypes.bfloat16) -> dict[str, np.ndarray]:
    dice = np.random.default_rng(2)
    weights = {
        "model.embed_tokens.weight": dice.normal(size=(1000, 32)),
        "model.layers.0.self_attn.q_proj.weight": dice.normal(size=(32, 32)),
        "model.layers.0.mlp.up_proj.weight": dice.normal(size=(48, 32)),
        "model.layers.0.input_layernorm.weight": dice.normal(size=(32,)),
        "model.layers.0.self_attn.q_proj.bias": dice.normal(size=(32,)),
        "lm_head.weight": dice.normal(size=(1000, 32)),
    }
    weights = {name: tensor.astype(dtype) for name, tensor in weights.items()}
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"dtype": "bfloat16", "vocab_size": 1000}))
    (folder / "model.safetensors").write_bytes(safetensors(weights))
    return weights


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, np.float32])
def test_a_base_is_described_by_its_linear_layers(tmp_path, dtype, monkeypatch):
    monkeypatch.setattr(base_model_reader, "BLOCK_BYTES", 1000)
    weights = _base_folder(tmp_path / "Tiny-Instruct", dtype)
    shape = base_model_reader.read_base_model(tmp_path / "Tiny-Instruct")
    assert shape.name == "Tiny-Instruct"
    assert list(shape.modules) == ["model.layers.0.mlp.up_proj", "model.layers.0.self_attn.q_proj"]
    linear = shape.modules["model.layers.0.mlp.up_proj"]
    expected = np.linalg.norm(weights["model.layers.0.mlp.up_proj.weight"].astype("f8"))
    assert (linear.rows, linear.columns) == (48, 32)
    assert linear.norm == pytest.approx(expected, rel=1e-5)
    assert BaseShape.of(shape.name, shape.config, shape.modules_json()) == shape
    assert base_model_reader.read_base_model(tmp_path / "Tiny-Instruct", "Public").name == "Public"


def test_an_index_says_which_files_count(tmp_path):
    _base_folder(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "model-00001-of-00001.safetensors")
    (tmp_path / "consolidated.safetensors").write_bytes(b"another layout of the same weights")
    names = {"lm_head.weight": "model-00001-of-00001.safetensors"}
    (tmp_path / base_model_reader.INDEX).write_text(json.dumps({"weight_map": names}))
    assert len(base_model_reader.read_base_model(tmp_path).modules) == 2


def test_a_base_that_is_none_says_why(tmp_path):
    with pytest.raises(UnreadableBase, match=r"config\.json can't be read"):
        base_model_reader.read_base_model(tmp_path / "absent")
    _base_folder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UnreadableBase, match=r"model\.safetensors is empty"):
        base_model_reader.read_base_model(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UnreadableBase, match="no linear layers"):
        base_model_reader.read_base_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(safetensors({"a.weight": np.ones((2, 2))}))
    with pytest.raises(UnreadableBase, match="stored as F64"):
        base_model_reader.read_base_model(tmp_path)


def test_local_files_are_read_by_range(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    file = LocalFile(tmp_path / "file")
    assert (file.size, file.read(3, 4), file.read(8, 9)) == (10, b"3456", b"89")


# The guide.


def test_the_guide_lists_every_finding_word_for_word():
    guide = DOCS.read_text()
    for section, problems in SECTIONS.items():
        assert f"### {section}\n" in guide
        for code, problem in problems.items():
            assert f"| `{code}` | {problem.sentence} | {problem.fix} |\n" in guide
    assert guide.partition("## Every finding")[2].count("\n| `") == len(PROBLEMS)
    assert all(f"`{code}`" in guide.partition("## Conversions")[2] for code in CONVERSIONS)


def test_every_finding_has_a_broken_adapter_or_a_test_of_its_own():
    assert set(PROBLEMS) == set(broken.CODES.values()) | WITHOUT_FILES


def test_the_guide_gives_the_limits():
    guide = DOCS.read_text()
    assert f"{BOUND:.0%}".replace("%", " %") in guide
    assert f"{VALUE_LIMIT:,.0f}" in guide
