"""When each example has its turn, and how fast is learned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trainer.examples import Example
from trainer.job import Job, Recipe
from trainer.plan import LEAST_STEPS, Plan, make_plan, rate_by_width


def examples(lengths: list[int]) -> list[Example]:
    """Return an example of each length; its first token says which it is."""
    return [Example([number] + [0] * length, [0] * (length + 1)) for number, length in enumerate(lengths)]


def plan_of(lengths: list[int], **recipe: object) -> Plan:
    job = Job(base="/base", base_name="org/name", recipe=Recipe(**recipe))
    return make_plan(job, examples(lengths), examples([5]), width=576)


lengths = st.lists(st.integers(1, 50), min_size=1, max_size=60)


@given(lengths, st.integers(1, 3), st.integers(1, 8))
def test_each_epoch_learns_each_example_once(lengths, epochs, batch_size):
    plan = plan_of(lengths, epochs=epochs, batch_size=batch_size)
    batches = list(plan.batches_after(0))
    assert len(batches) == plan.steps
    for epoch in range(epochs):
        first = epoch * plan.steps_per_epoch
        learned = [
            example.tokens[0] for batch in batches[first : first + plan.steps_per_epoch] for example in batch
        ]
        assert sorted(learned) == list(range(len(lengths)))


@given(lengths, st.data())
def test_after_any_step_the_same_batches_follow(lengths, data):
    plan = plan_of(lengths)
    step = data.draw(st.integers(0, plan.steps))
    assert list(plan.batches_after(step)) == list(plan.batches_after(0))[step:]


@pytest.mark.parametrize(("count", "steps"), [(10, 30), (60, 180), (99, 150), (140, 105), (2000, 1500)])
def test_a_small_corpus_has_small_batches_so_that_there_are_enough_steps(count, steps):
    plan = plan_of([3] * count, epochs=3, batch_size=4)
    assert plan.steps == steps
    assert plan.steps >= LEAST_STEPS or plan.batch_size == 1


@given(lengths, st.floats(0, 0.9))
def test_the_rate_rises_falls_and_is_never_beyond_its_height(lengths, warmup_ratio):
    plan = plan_of(lengths, warmup_ratio=warmup_ratio)
    rates = [plan.learning_rate_at(step) for step in range(plan.steps)]
    highest = rates.index(max(rates))
    assert min(rates) > 0
    assert max(rates) <= plan.learning_rate
    assert rates[: highest + 1] == sorted(rates[: highest + 1])
    assert rates[highest:] == sorted(rates[highest:], reverse=True)


def test_an_epoch_ends_with_a_validation():
    plan = plan_of([3] * 140, epochs=3, batch_size=4)
    assert [step for step in range(1, 106) if plan.validates_after(step)] == [35, 70, 105]


@given(st.integers(1, 400), st.integers(1, 8))
def test_a_smaller_batch_learns_at_a_lower_rate(count, batch_size):
    plan = plan_of([3] * count, batch_size=batch_size)
    assert plan.learning_rate == pytest.approx(1e-3 * (plan.batch_size / batch_size) ** 0.5)


@pytest.mark.parametrize(("width", "rate"), [(576, 1e-3), (2048, 4.5e-4), (4096, 2.9e-4)])
def test_wider_models_learn_more_slowly(width, rate):
    assert rate_by_width(width) == pytest.approx(rate, rel=0.01)


def test_a_multiplier_scales_the_rate_whether_it_was_chosen_or_not():
    halved = plan_of([5], batch_size=1, learning_rate_multiplier=0.5)
    doubled = plan_of([5], batch_size=1, learning_rate=1e-4, learning_rate_multiplier=2)
    assert halved.learning_rate == pytest.approx(rate_by_width(576) / 2)
    assert doubled.learning_rate == pytest.approx(2e-4)
