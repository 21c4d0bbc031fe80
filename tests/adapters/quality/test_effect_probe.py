"""What an adapter does to the base's words is measured once, and nothing is refused."""

import math
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as some

from adapters.catalog import sharing
from adapters.errors import EngineRefused, EngineUnavailable
from adapters.models import AdapterVersion, Placement, Probe, Style
from adapters.quality import effect_probe, samples
from adapters.releases import aliases
from tests.adapters.builders import by, known

NATS = some.floats(-20, 0)
LISTS = some.dictionaries(some.sampled_from("abcdefgh"), NATS, min_size=1)


@pytest.fixture
def version(version, vllm):
    """A version that serves."""
    Placement.objects.update(loaded_at=timezone.now() - samples.DELAY)
    Style.objects.update(sample_prompt="Describe a morning.")
    version.style.refresh_from_db()
    vllm.loaded |= {version.engine_name: "/noir"}
    return version


def measured(version, engine):
    return effect_probe.measure_effect(version, engine, version.engine_name)


def test_a_style_is_measured_once(version, engine, vllm):
    probe = measured(version, engine)
    assert probe.strength == pytest.approx(vllm.effect)
    assert (probe.noise, probe.engine) == (0, "local")
    assert [row["prompt"] for row in probe.shifts] == list(effect_probe.PROMPTS)
    vllm.stop()
    assert measured(version, engine) == probe


def test_the_base_is_asked_once_as_long_as_its_process_lives(acme, version, engine, vllm):
    engine.started_at = timezone.now()
    others = [known(acme, slug, engine) for slug in ("odes", "rhymes")]
    vllm.loaded |= {one.engine_name: "/other" for one in others}
    measured(version, engine)
    vllm.base_effect = math.nan
    assert measured(others[0], engine).strength == pytest.approx(vllm.effect)
    engine.started_at += timedelta(hours=1)
    with pytest.raises(EngineUnavailable):
        measured(others[1], engine)


def test_an_engine_that_computes_no_numbers_is_not_the_adapters_fault(version, engine, vllm, acme):
    engine.started_at = timezone.now()
    measured(version, engine)
    poisoned = known(acme, "odes", engine)
    vllm.loaded[poisoned.engine_name] = "/odes"
    vllm.effect = vllm.base_effect = math.nan
    with pytest.raises(EngineUnavailable, match="NaN"):
        measured(poisoned, engine)


@pytest.mark.parametrize(
    ("effect", "reason"), [(0.0, "has no effect"), (1e-3, "has no effect"), (math.nan, "NaN")]
)
def test_what_has_no_effect_or_writes_no_numbers_is_refused(version, engine, vllm, effect, reason):
    vllm.effect = effect
    with pytest.raises(EngineRefused, match=reason):
        measured(version, engine)
    assert not Probe.objects.exists()


@given(LISTS, LISTS)
def test_a_shift_is_symmetric_and_never_overstates(base, style):
    assert effect_probe.shift(base, style) == pytest.approx(effect_probe.shift(style, base))
    assert effect_probe.shift(base, base) == 0
    whole = {token: -25.0 for token in "abcdefgh"}
    seen = base.keys() | style.keys()
    true = [abs((whole | base)[token] - (whole | style)[token]) for token in seen]
    if min(*base.values(), *style.values()) > -25:
        assert effect_probe.shift(base, style) <= sum(true) / len(seen) + 1e-9


def test_a_version_s_answers_stand_beside_the_base_s_and_give_its_style_a_sample(version, engine):
    measured(version, engine)
    assert samples.take_missing_samples(engine) == 1
    probe = Probe.objects.get()
    assert [row["prompt"] for row in probe.samples] == [*samples.PROMPTS, "Describe a morning."]
    assert all(row["base"] != row["style"] for row in probe.samples)
    assert probe.measures["style"]["phrases"] == ["depends no cap"]
    assert Style.objects.get().sample.startswith("Describe a morning. It depends, no cap.")
    assert samples.take_missing_samples(engine) == 0


def test_another_sample_prompt_gets_its_answer_and_nothing_is_asked_twice(version, engine, vllm):
    measured(version, engine)
    samples.take_missing_samples(engine)
    before = Probe.objects.get().samples
    Style.objects.update(sample="", sample_prompt="Describe an evening.")
    vllm.effect = 0  # whoever is asked again answers otherwise
    assert samples.take_missing_samples(engine) == 1
    after = Probe.objects.get().samples
    assert after[:3] == before[:3]
    assert after[3]["style"] == Style.objects.get().sample == "Describe an evening. It depends."


def test_samples_wait_until_whoever_waited_for_the_style_has_written(version, engine):
    measured(version, engine)
    Placement.objects.update(loaded_at=timezone.now())
    assert samples.take_missing_samples(engine) == 0


def test_a_version_that_waits_for_its_owner_has_its_sample_at_once(version, engine):
    Style.objects.update(live_version=None)
    AdapterVersion.objects.update(auto_promote=False)
    measured(version, engine)
    Placement.objects.update(loaded_at=timezone.now())
    assert samples.take_missing_samples(engine) == 1
    sample = Style.objects.get().sample
    assert sample.startswith("Describe a morning.")
    aliases.promote(by(), AdapterVersion.objects.get())
    assert Style.objects.get().sample == sample
    assert samples.take_missing_samples(engine) == 0


def test_samples_wait_for_an_engine_that_is_away(version, engine, vllm):
    measured(version, engine)
    vllm.stop()
    assert samples.take_missing_samples(engine) == 0
    assert Probe.objects.get().samples == []


def test_whoever_sees_a_style_sees_its_card_and_a_stranger_none(
    version, engine, alice_client, charlie_client
):
    measured(version, engine)
    samples.take_missing_samples(engine)
    page = reverse("adapters:style", args=["acme", "noir"])
    shown = alice_client.get(page).text
    assert "Strong effect" in shown
    assert "by 0.50 nats per token" in shown
    assert charlie_client.get(page).status_code == 404
    sharing.set_public(version.style)
    assert "by 0.50 nats per token" in charlie_client.get(page).text


def test_an_owner_sees_each_version_s_card_and_others_the_live_one_s(
    version, engine, alice_client, charlie_client
):
    sharing.set_public(version.style)
    newer = version.style.versions.create(number=2)
    for one, strength in ((version, 0.3), (newer, 0.7)):
        Probe.objects.create(version=one, engine="local", strength=strength, noise=0)
    page = reverse("adapters:style", args=["acme", "noir"])
    seen = [
        client.get(page, {"version": 2}).context["probe"].number for client in (alice_client, charlie_client)
    ]
    assert seen == [2, 1]
    assert "version=2" not in charlie_client.get(page).text
