import pytest

from foundation.cached_result import CachedResult


def test_a_result_is_asked_anew_once_it_is_too_old():
    answers = iter([1, 2])
    now_s = [100.0]
    kept = CachedResult(lambda: next(answers), max_age_s=5, clock=lambda: now_s[0])

    assert (kept.read(), kept.read()) == (1, 1)
    now_s[0] += 4.9
    assert kept.read() == 1
    now_s[0] += 0.1
    assert kept.read() == 2


def test_a_fault_is_not_kept():
    answers = iter([ZeroDivisionError, None])

    def ask():
        fault = next(answers)
        if fault:
            raise fault

    kept = CachedResult(ask, max_age_s=5, clock=lambda: 0.0)
    with pytest.raises(ZeroDivisionError):
        kept.read()
    assert kept.read() is None
