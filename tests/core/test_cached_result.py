import pytest

from operations.monitoring.health import CachedResult


def test_a_result_is_computed_anew_once_it_is_too_old():
    answers = iter([1, 2])
    now_s = [100.0]
    cached = CachedResult(lambda: next(answers), max_age_s=5, clock=lambda: now_s[0])

    assert (cached.read(), cached.read()) == (1, 1)
    now_s[0] += 4.9
    assert cached.read() == 1
    now_s[0] += 0.1
    assert cached.read() == 2


def test_a_fault_is_not_cached():
    answers = iter([ZeroDivisionError, None])

    def compute():
        fault = next(answers)
        if fault:
            raise fault

    cached = CachedResult(compute, max_age_s=5, clock=lambda: 0.0)
    with pytest.raises(ZeroDivisionError):
        cached.read()
    assert cached.read() is None
