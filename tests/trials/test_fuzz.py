"""That the trial `fuzz` sees a harm, and names who did it: an engine that is harmed by one of the mutants."""

from dataclasses import replace

import numpy as np
import pytest

from labs.broken_adapters.mutants import Mutant
from labs.broken_adapters.parts import make_adapter
from tests.fakes.broken_adapters import tiny_base, valid_adapter
from tests.fakes.vllm_control import FakeVllm
from trials.fuzz.cases import Cases, FuzzVerdict
from trials.fuzz.engine import write_witnesses
from trials.fuzz.trial import Run
from trials.harness import Context

CASES = Cases(seed=1, base=tiny_base(), trained=(), max_rank=16)
NUMBERS = range(30)


class HarmedEngine(FakeVllm):
    """Serves everybody until one adapter has come; a restart heals it."""

    def __init__(self, harm: str = "", culprit: str = "") -> None:
        self.harm, self.culprit = harm, culprit
        super().__init__(api_key="key")

    def start(self) -> None:
        super().start()
        self.core_is_dead, self.is_harmed = False, False

    def answer(self, method, path, key, body):
        self.is_harmed |= self.culprit in (body.get("model"), body.get("lora_name"))
        if self.is_harmed and self.harm == "refused" and body.get("lora_name") == self.culprit:
            return 500, {"error": {"message": "Call to add_lora method failed: no"}}
        if self.is_harmed and self.harm == "died" and path != "/v1/models":
            self.core_is_dead = True
        if path == "/v1/completions":
            text = "" if self.is_harmed and self.harm == "changed" else f"I am {body['model']}"
            return (500, {}) if self.core_is_dead else (200, {"choices": [{"text": text}]})
        return super().answer(method, path, key, body)


async def verdict_on(engine: FakeVllm, notes) -> FuzzVerdict:
    variables = {"ENGINE_URL": engine.url, "ENGINE_API_KEY": "key"}
    present = write_witnesses(
        [make_adapter(CASES.base, np.random.default_rng(number)) for number in (1, 2)], notes / "adapters"
    )
    verdict = FuzzVerdict(CASES.seed, "float32")
    run = Run(Context(variables, notes, kill=lambda _: engine.restart()), CASES, verdict)
    try:
        await run.all(NUMBERS, present)
    finally:
        engine.stop()
    return verdict


async def test_an_unharmed_engine_is_found_well_and_left_as_it_was(tmp_path):
    engine = HarmedEngine()
    verdict = await verdict_on(engine, tmp_path)
    tried = [case for number in NUMBERS for case in CASES.make_cases(number)]
    accepted = sum(case.is_accepted for case in tried if not case.is_converted)
    assert verdict.line() == (
        f"FUZZ OK cases=30 accepted={accepted} refused_by_engine=0 engine_deaths=0 witnesses_changed=0"
    )
    assert len(engine.loads) == sum(case.is_accepted for case in tried) + 3
    assert engine.loaded == {}


@pytest.mark.parametrize("harm", ["refused", "died", "changed"])
async def test_a_harm_is_found_and_its_mutant_named(tmp_path, harm):
    culprit = [number for number in NUMBERS if CASES.make_cases(number)[0].is_accepted][3]
    verdict = await verdict_on(HarmedEngine(harm, f"mutant-{culprit}"), tmp_path)
    assert not verdict.is_good
    assert {(violation.kind, violation.cases) for violation in verdict.violations} == {(harm, (culprit,))}
    assert (tmp_path / "kept" / f"mutant-{culprit}" / "adapter_config.json").exists()


async def test_a_crash_of_validation_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("trials.fuzz.cases.validate_adapter", lambda *_: 1 / 0)
    verdict = await verdict_on(HarmedEngine(), tmp_path)
    assert "crashes=30" in verdict.line()
    assert "ZeroDivisionError" in verdict.violations[0].describe()


@pytest.mark.parametrize("layers", [3, 30])
def test_what_is_wrong_with_weights_alone_is_no_fault_of_a_conversion(monkeypatch, layers):
    base = tiny_base(layers=layers)
    adapter = valid_adapter(base)
    adapter.tensors = {name: np.full_like(tensor, np.nan, "f8") for name, tensor in adapter.tensors.items()}
    mutant = Mutant(("nan",), adapter.config_bytes, adapter.weights)
    monkeypatch.setattr(Cases, "_mutant", lambda *_: mutant)
    _, converted = replace(CASES, base=base).make_cases(1)
    assert set(converted.codes) == {"not_finite", "more"}  # one mistake is said once, the rest is counted
    assert not converted.is_accepted
    assert converted.fault == ""
