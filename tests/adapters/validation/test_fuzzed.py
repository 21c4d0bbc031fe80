"""Whatever bytes come, validation answers: soon, in little memory, in plain words, and never by a crash.

`make trial NAME=fuzz` asks a real engine about mutants of the same strategies.
"""

import json
import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from adapters.validation import Report, validate_adapter
from labs.broken_adapters.fields import FIELDS, ODD
from labs.broken_adapters.mutants import ALL, Mutant, generate_mutants, mutants
from labs.broken_adapters.parts import packed
from tests.adapters.validation.sources import memory_below
from tests.fakes.broken_adapters import tiny_base, valid_adapter
from tests.profiles import examples

BASE = tiny_base()
MAX_RANK = 16
MEMORY_BYTES = 64 * 1024 * 1024
SECONDS = 5
A_FIFTH = 0.2

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=20,
)
names = st.text(max_size=60) | st.sampled_from(
    [f"base_model.model.{module}.lora_{side}.weight" for module in BASE.modules for side in "AB"]
)
entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "F16", "F64", "I8"]) | json_values,
        "shape": st.lists(st.integers(-1, 64), max_size=3) | json_values,
        "data_offsets": st.lists(st.integers(-1, 5000), max_size=3) | json_values,
    }
)
headers = st.dictionaries(names, entries | json_values, max_size=6).map(json.dumps)


def examined(config: bytes, weights: bytes) -> Report:
    """Return the report, held to what is promised for every file."""
    began = time.process_time()
    report = validate_adapter(config, Mutant((), config, weights), BASE, MAX_RANK)
    assert time.process_time() - began < SECONDS
    for finding in report.findings:
        assert finding.sentence.endswith(".")
        assert finding.fix.endswith(".")
        assert f"{finding.sentence}{finding.fix}{finding.tensor}".isprintable()
    return report


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_are_answered(config, weights):
    assert not examined(config, weights).is_valid


@settings(max_examples=examples(200))
@given(json_values, headers, st.binary(max_size=200))
def test_any_json_is_answered(config, header, data):
    assert not examined(json.dumps(config).encode(), packed(header, data)).is_valid


@settings(max_examples=examples(200))
@given(st.dictionaries(st.sampled_from([*FIELDS, "target_modules", "rank_pattern", "use_x"]), json_values))
def test_any_value_in_any_field_of_the_config_is_answered(changes):
    adapter = valid_adapter(BASE)
    examined(json.dumps(adapter.config | changes).encode(), adapter.weights)


@settings(max_examples=examples(400))
@given(mutants(BASE))
def test_any_mutant_is_answered_and_an_accepted_one_is_whole(tmp_path_factory, made):
    if examined(made.config, made.weights).is_valid:
        file = tmp_path_factory.mktemp("mutant") / "adapter_model.safetensors"
        file.write_bytes(made.weights)
        with safe_open(file, framework="numpy") as weights:  # the reader that engines have
            tensors = {name: weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118
        assert_whole(tensors)


def assert_whole(tensors: dict[str, np.ndarray]) -> None:
    """Check by other means that there are pairs that fit the base, and sane numbers in them."""
    assert tensors
    for name, a in tensors.items():
        assert np.isfinite(a.astype("f8")).all()
        if ".lora_A." in name:
            module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            linear, b = BASE.modules[module], tensors[name.replace("lora_A", "lora_B")]
            assert (b.shape[0], a.shape[1]) == (linear.rows, linear.columns)
            assert 1 <= a.shape[0] == b.shape[1] <= MAX_RANK


def test_mutants_need_little_memory():
    many = generate_mutants(BASE, number=100, seeded="memory")
    with memory_below(MEMORY_BYTES):
        for made in many:
            examined(made.config, made.weights)


def test_mutants_try_engines_and_come_again_with_their_seed():
    many = generate_mutants(BASE, number=400, seeded="share")
    assert many == generate_mutants(BASE, number=400, seeded="share")
    assert {name for made in many for name in made.mutations} == {one.__name__ for one in ALL}
    accepted = [made for made in many if not validate_adapter(made.config, made, BASE, MAX_RANK).findings]
    assert len(accepted) > A_FIFTH * len(many)
