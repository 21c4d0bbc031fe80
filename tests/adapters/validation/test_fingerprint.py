"""Fingerprints: a copy has nearly the same one, whatever was done to its files; others have other ones."""

import copy

import ml_dtypes
import numpy as np
import pytest

from adapters.validation import validate_adapter
from adapters.validation.weights import read_vector
from labs.broken_adapters.parts import Adapter, name_of
from tests.adapters.validation.sources import Bytes
from tests.fakes.broken_adapters import tiny_base, valid_adapter

BASE = tiny_base()


def fingerprint(adapter: Adapter) -> np.ndarray:
    report = validate_adapter(adapter.config_bytes, Bytes(adapter.weights), BASE, 16)
    assert report.is_valid, report.findings
    return read_vector(report.fingerprint)


def change(adapter: Adapter, do) -> Adapter:
    """Return a copy in which `do` has changed each module's A and B."""
    changed = copy.deepcopy(adapter)
    dice = np.random.default_rng(7)
    for module in BASE.modules:
        names = name_of(module, "A"), name_of(module, "B")
        factors = (adapter.tensors[name].astype("f4") for name in names)
        types = {np.dtype("f8"): np.float32}
        done = [each.astype(types.get(each.dtype, each.dtype)) for each in do(*factors, dice)]
        changed.tensors.update(zip(names, done, strict=True))
    return changed


def factored_anew(a, b, dice):
    turn, _ = np.linalg.qr(dice.normal(size=(len(a), len(a))))
    return turn @ a, b @ turn.T


def blurred(a, b, dice):
    noise = [dice.normal(size=each.shape) * each.std() * 0.2 for each in (a, b)]
    return a + noise[0], b + noise[1]


@pytest.mark.parametrize(
    ("do", "least"),
    [
        (lambda a, b, dice: (a * 2, b * 0.7), 0.999),
        (lambda a, b, dice: (a.astype(ml_dtypes.bfloat16), b.astype(ml_dtypes.bfloat16)), 0.999),
        (factored_anew, 0.999),
        (blurred, 0.9),
    ],
    ids=["scaled", "stored in 16 bits", "factored anew", "blurred by a fifth"],
)
def test_a_copy_is_known_whatever_was_done_to_its_files(do, least):
    original = valid_adapter(BASE, dtype=np.float32)
    assert least < fingerprint(original) @ fingerprint(change(original, do)) <= 1.0001


def test_adapters_that_were_trained_apart_have_other_ones():
    others = [fingerprint(valid_adapter(BASE, seed=seed)) for seed in range(2, 12)]
    cosines = np.abs(np.stack(others) @ fingerprint(valid_adapter(BASE)))
    assert cosines.max() < 0.5


def test_a_fingerprint_stays_the_same_for_ever():
    """Stored ones are compared with those of years later: neither hash, order nor places may change."""
    waves = change(valid_adapter(BASE), lambda a, b, dice: (wave(a) * 0.05, wave(b) * 0.01))
    first = fingerprint(waves)
    assert first[:4].tolist() == pytest.approx(EXPECTED, abs=1e-4)


def wave(values):
    return np.sin(np.arange(values.size) * 0.7).reshape(values.shape)


EXPECTED = [0.0, -0.00175, 0.06656, 0.05335]
