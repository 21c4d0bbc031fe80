"""Conversions: a corrected adapter does what it did before, and nothing is corrected by guessing."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from adapters import actions, object_store
from adapters.models import Status
from adapters.uploads import pipeline, upload_request
from adapters.uploads.sessions import CONVERSIONS
from adapters.validation import BaseShape, autofix, header, validate_adapter
from adapters.validation.config import read_config
from adapters.validation.findings import Findings
from adapters.validation.limits import CONFIG_FILE, LIMITS_BYTES, UPLOAD_LIMIT, WEIGHTS_FILE, WEIGHTS_LIMIT
from adapters.validation.problems import CLOSING
from adapters.validation.problems import WEIGHTS as OF_WEIGHTS
from adapters.validation.weights import TYPES
from labs.broken_adapters.mutants import mutants
from labs.broken_adapters.parts import PREFIX, Adapter
from tests.adapters.builders import adapter_files, by, uploaded
from tests.adapters.validation.sources import Bytes, config_of, memory_below, wide_base, wide_weights
from tests.fakes import broken_adapters as broken
from tests.fakes.broken_adapters import tiny_base, valid_adapter
from tests.profiles import examples

MEMORY_BYTES = 64 * 1024 * 1024
MAX_RANK = 16
BASE_FIELD = "base_model_name_or_path"
BASE = tiny_base("Tiny-2.5_Instruct")

type Breaker = Callable[[Adapter], None]


def renamed(before: str, after: str) -> Breaker:
    return lambda adapter: broken.rename_tensors(adapter, before, after)


def configured(**fields: object) -> Breaker:
    return lambda adapter: adapter.config.update(fields)


def without(field: str) -> Breaker:
    return lambda adapter: adapter.config.pop(field)


def doubled(adapter: Adapter) -> None:
    adapter.tensors = {name: tensor.astype("f8") for name, tensor in adapter.tensors.items()}


def trimmed(adapter: Adapter) -> None:
    """Cut the last three ranks off some layers, which are zero there, as pruning does; the config stays."""
    for name, tensor in adapter.tensors.items():
        if "layers.1." in name:
            adapter.tensors[name] = tensor[:-3] if ".lora_A." in name else tensor[:, :-3].copy()


CORRECTED: dict[str, tuple[Breaker, set[str]]] = {
    "no prefix": (renamed(PREFIX, ""), {"names"}),
    "no base_model": (renamed("base_model.model.model.", "model.model."), {"names"}),
    "no inner model": (renamed("model.model.layers", "model.layers"), {"names"}),
    "bare": (renamed("base_model.model.model.", ""), {"names"}),
    "prefix twice": (renamed(PREFIX, PREFIX * 2), {"names"}),
    "one model too many": (renamed("model.layers", "model.model.layers"), {"names"}),
    "wrapped": (renamed(PREFIX, "module._orig_mod." + PREFIX), {"names"}),
    "in training": (renamed(".weight", ".default.weight"), {"names"}),
    "double precision": (doubled, {"precision"}),
    "lower ranks": (trimmed, {"ranks"}),
    "kind in small letters": (configured(peft_type="lora"), {"peft_type"}),
    "no kind": (without("peft_type"), {"peft_type"}),
    "rank as text": (configured(r="8"), {"r"}),
    "rank as fraction": (configured(r=8.0), {"r"}),
    "no rank": (without("r"), {"r"}),
    "alpha as text": (configured(lora_alpha="16"), {"lora_alpha"}),
    "switch as text": (configured(use_rslora="False"), {"use_rslora"}),
    "switch as number": (configured(use_rslora=0), {"use_rslora"}),
    "switch as nothing": (configured(use_rslora=None), {"use_rslora"}),
    "no targets": (without("target_modules"), {"target_modules"}),
    "empty targets": (configured(target_modules=[]), {"target_modules"}),
    "bias as nothing": (configured(bias=None), {"bias"}),
    "base otherwise written": (configured(**{BASE_FIELD: "me/tiny_2-5 instruct"}), {BASE_FIELD}),
}


@settings(max_examples=examples(100))
@given(
    st.lists(st.sampled_from(sorted(CORRECTED)), min_size=1, max_size=4, unique=True),
    st.sampled_from([np.float32, np.float16, ml_dtypes.bfloat16]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_a_converted_adapter_is_the_same_style(faults, dtype, is_stabilised, seed):
    faults = list({code: fault for fault in faults for code in CORRECTED[fault][1]}.values())
    assume(not {"no rank", "lower ranks"} <= set(faults))  # then nothing says which rank is meant
    original = _prunable(dtype, seed)
    if not any("switch" in fault for fault in faults):
        original.config["use_rslora"] = is_stabilised
    adapter = Adapter(dict(original.config), dict(original.tensors))
    for fault in faults:
        CORRECTED[fault][0](adapter)
    assert set(report_of(adapter).conversions) == {code for fault in faults for code in CORRECTED[fault][1]}
    corrected = converted(adapter)
    assert report_of(corrected).is_valid
    rounding = 2**-8 if "double precision" in faults else 1e-15  # of each factor's values
    for module in BASE.modules:
        before, after = change_of(original, module), change_of(corrected, module)
        assert (abs(after - before) <= 2 * rounding * change_of(original, module, np.abs)).all()


def _prunable(dtype: object, seed: int) -> Adapter:
    """Return a whole adapter whose last three ranks do nothing in the middle layer."""
    adapter = valid_adapter(BASE, dtype=dtype, seed=seed)
    for name, tensor in adapter.tensors.items():
        if "layers.1." in name and ".lora_B." in name:
            tensor[:, -3:] = 0
    return adapter


def report_of(adapter: Adapter, base: BaseShape = BASE, stated: str = ""):
    return validate_adapter(adapter.config_bytes, Bytes(adapter.weights), base, MAX_RANK, stated)


def converted(adapter: Adapter) -> Adapter:
    """Return what a conversion writes, read back."""
    plan = autofix.plan_autofix(adapter.config_bytes, Bytes(adapter.weights), BASE, MAX_RANK)
    data = b"".join(plan.weights(Bytes(adapter.weights)))
    findings = Findings()
    content = header.read_header(Bytes(data), findings)
    assert content.is_sound
    converted = {
        at.name: np.frombuffer(
            data, TYPES[at.dtype], offset=at.start, count=at.shape[0] * at.shape[1]
        ).reshape(at.shape)
        for at in content.tensors
    }
    assert data == b"".join(plan.weights(Bytes(data))) if not plan.codes else True
    return Adapter(json.loads(plan.config_bytes), converted)


def change_of(adapter: Adapter, module: str, of: Callable = np.asarray) -> np.ndarray:
    """Return what an adapter adds to a layer: scale·B·A in double precision, or scale·of(B)·of(A)."""
    facts = read_config(
        adapter.config_bytes, base=BASE, max_rank=64, stated_quantisation="", findings=Findings()
    )
    a, b = (adapter.tensors[f"{PREFIX}{module}.lora_{side}.weight"].astype("f8") for side in "AB")
    return facts.scale_of(module) * (of(b) @ of(a))


# What is too large.


@contextmanager
def served_up_to(limit_bytes: int) -> Iterator[None]:
    """Serve smaller files only."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("validator", "autofix"):
            patch.setattr(f"adapters.validation.{module}.WEIGHTS_LIMIT", limit_bytes)
        yield


@pytest.mark.parametrize(
    ("dtype", "is_corrected"), [("f4", True), ("f8", True), ("f2", False), ("bf16", False)]
)
def test_weights_that_are_too_large_are_halved_where_they_can_be(dtype, is_corrected):
    original = valid_adapter(BASE, dtype={"bf16": ml_dtypes.bfloat16}.get(dtype, dtype))
    with served_up_to(len(original.weights) - 1):
        report = report_of(original)
        assert "weights_too_large" in {finding.code for finding in report.findings}
        assert report.conversions == (("precision",) if is_corrected else ())
        if is_corrected:
            made = converted(original)
            assert report_of(made).is_valid
            assert made.tensors.keys() == original.tensors.keys()
            for name, tensor in original.tensors.items():
                assert (made.tensors[name] == tensor.astype(ml_dtypes.bfloat16)).all()


def test_a_conversion_is_offered_if_its_file_is_small_enough_to_the_byte():
    adapter = valid_adapter(BASE, dtype=np.float32)
    with served_up_to(len(adapter.weights) - 1):
        made = autofix.plan_autofix(adapter.config_bytes, Bytes(adapter.weights), BASE, MAX_RANK)
    size = len(b"".join(made.weights(Bytes(adapter.weights))))
    for limit, offers in ((size, ("precision",)), (size - 1, ())):
        with served_up_to(limit):
            assert report_of(adapter).conversions == offers


def test_zeros_that_make_weights_too_large_are_added_to_halved_ones():
    adapter = _prunable(np.float32, seed=1)
    trimmed(adapter)
    with served_up_to(len(adapter.weights)):
        assert report_of(adapter).conversions == ("precision", "ranks")
        assert report_of(converted(adapter)).is_valid


def test_too_large_weights_that_are_insane_are_not_converted():
    adapter = valid_adapter(BASE, dtype=np.float32)
    broken.KINDS["nan"](adapter, BASE)
    with served_up_to(len(adapter.weights) - 1):
        assert report_of(adapter).conversions == ()


@settings(max_examples=examples(200))
@given(mutants(BASE), st.floats(0.3, 0.99))
def test_nothing_over_the_limit_is_accepted_and_no_conversion_ends_there(made, share):
    limit = int(made.size * share)
    with served_up_to(limit):
        report = validate_adapter(made.config, made, BASE, MAX_RANK)
        assert not report.is_valid
        if report.conversions:
            plan = autofix.plan_autofix(made.config, made, BASE, MAX_RANK)
            weights = b"".join(plan.weights(made))
            left = validate_adapter(plan.config_bytes, Bytes(weights), BASE, MAX_RANK).findings
            assert len(weights) <= limit
            assert {finding.code for finding in left} <= OF_WEIGHTS.keys() | CLOSING.keys()


def test_a_gigabyte_is_converted_in_little_memory():
    base = wide_base(layers=2000)
    config, source = config_of(base), wide_weights(base)
    with memory_below(MEMORY_BYTES):
        report = validate_adapter(config, source, base, MAX_RANK)
        plan = autofix.plan_autofix(config, source, base, MAX_RANK)
        size = sum(map(len, plan.weights(source)))
    assert 0.97 * UPLOAD_LIMIT < source.size <= UPLOAD_LIMIT
    assert {finding.code for finding in report.findings} == {"weights_too_large"}
    assert report.conversions == ("precision",)
    assert size <= WEIGHTS_LIMIT


def test_twice_of_what_is_served_can_be_uploaded():
    sizes = {CONFIG_FILE: 700, WEIGHTS_FILE: 2 * WEIGHTS_LIMIT}
    assert upload_request.file_faults(sizes) == []
    assert upload_request.file_faults({**sizes, WEIGHTS_FILE: 2 * WEIGHTS_LIMIT + 1})
    assert upload_request.file_faults({"noir.zip": sum(LIMITS_BYTES.values())}) == []


@pytest.mark.django_db
def test_a_version_that_is_too_large_becomes_one_that_is_pushed(acme, engine):
    files = adapter_files()
    size = len(files[WEIGHTS_FILE])
    with served_up_to(size - 1):
        original = uploaded(acme, files=files)
        pipeline.advance_version(original)
        assert (original.status, original.conversions) == (Status.REJECTED, ["precision"])
        assert [found.code for found in original.findings] == ["weights_too_large"]
        version = actions.convert_version(by(), original)
        pipeline.advance_version(version)
    assert (version.status, version.number) == (Status.PUSHING, 2)
    with object_store.reading(version.pk, WEIGHTS_FILE) as weights:
        assert weights.size == version.size_bytes < size
        content = header.read_header(weights, Findings())
    assert {tensor.dtype for tensor in content.tensors} == {"BF16"}


# What is not offered.


@pytest.mark.parametrize(
    "fault",
    [
        configured(use_dora=True),
        configured(modules_to_save=["lm_head"]),
        configured(init_lora_weights="pissa"),
        configured(r=4),
        configured(lora_alpha="many"),
        configured(bias="all"),
        configured(**{BASE_FIELD: "me/Tiny-25-Instruct"}),
        configured(**{BASE_FIELD: "me/Tiny-2.5_Instruct-bnb-4bit"}),
        configured(**{BASE_FIELD: ""}),
        configured(target_modules=["q_proj"]),
        without("lora_alpha"),
        renamed("q_proj", "qkv_proj"),
        renamed("layers.1.", "layers.1001."),
        lambda adapter: broken.KINDS["stranger"](adapter, BASE),
        lambda adapter: broken.KINDS["lonely"](adapter, BASE),
        lambda adapter: broken.KINDS["magnitude_vector"](adapter, BASE),
        lambda adapter: broken.KINDS["rank_over_maximum"](adapter, BASE),
    ],
)
@pytest.mark.parametrize("beside", [None, "bare"])
def test_nothing_is_offered_that_would_be_a_guess_or_not_be_enough(fault, beside):
    adapter = valid_adapter(BASE)
    fault(adapter)
    if beside:
        CORRECTED[beside][0](adapter)
    report = report_of(adapter)
    assert not report.is_valid
    assert report.conversions == ()


def test_neither_insane_weights_nor_two_adapters_nor_factors_that_do_not_fit_are_converted():
    insane, mixed, uneven = (valid_adapter(BASE) for _ in range(3))
    broken.KINDS["nan"](insane, BASE)
    insane.config["lora_alpha"] = "16"
    mixed.tensors |= {name.replace(".weight", ".other.weight"): one for name, one in mixed.tensors.items()}
    name = broken.first(uneven, "A")
    uneven.tensors[name] = uneven.tensors[name][:-2]
    assert [report_of(adapter).conversions for adapter in (insane, mixed, uneven)] == [(), (), ()]


def test_a_valid_adapter_needs_none():
    adapter = valid_adapter(BASE)
    assert report_of(adapter).conversions == ()
    assert autofix.plan_autofix(adapter.config_bytes, Bytes(adapter.weights), BASE, MAX_RANK) is None


def test_what_is_stated_of_the_base_is_kept_in_mind():
    adapter = valid_adapter(BASE)
    CORRECTED["bare"][0](adapter)
    four_bit = replace(BASE, config={**BASE.config, "quantization_config": {"load_in_4bit": True}})
    assert report_of(adapter, four_bit).conversions == ()
    assert report_of(adapter, four_bit, "4-bit").conversions == ("names",)


def test_every_conversion_is_explained():
    assert {code for _, codes in CORRECTED.values() for code in codes} == set(CONVERSIONS)
