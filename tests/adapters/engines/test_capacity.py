"""Capacity is arithmetic: the figures that people plan with come out of it."""

import io
import json
from dataclasses import replace

import pytest
from django.core.management import CommandError, call_command

from adapters.engines import capacity
from adapters.engines.capacity import GB, Comparison, EngineLimits, Layers
from adapters.errors import EngineGone
from adapters.models import Engine
from adapters.placement import engine_actions
from tests.adapters.builders import known, twin_of

MB = 10**6


def llama_8b() -> Layers:
    """Llama-3.1-8B's linear layers: 32 times q, k, v, o, gate, up, down."""
    attention = 2 * (4096 + 4096) + 2 * (4096 + 1024)
    return Layers(widths=32 * (attention + 3 * (4096 + 14336)), parameters=8_030_000_000)


def test_a_slot_of_llama_8b_is_as_large_as_is_known():
    for rank, megabytes in ((8, 42), (16, 84), (32, 168), (64, 336)):
        limits = EngineLimits(max_loras=4, max_cpu_loras=64, max_lora_rank=rank)
        memory = capacity.estimate_memory(llama_8b(), limits, {8: 10})
        assert memory.slot_bytes / MB == pytest.approx(megabytes, rel=0.005)
        assert memory.slots_bytes == 4 * memory.slot_bytes


def test_fifty_styles_take_one_model_and_their_adapters():
    fifty = Comparison(styles=50, model_bytes=14 * GB, adapter_bytes=50 * MB)
    assert (fifty.apart_bytes, fifty.together_bytes) == (700 * GB, 16.5 * GB)
    assert fifty.saved == pytest.approx(0.976, abs=0.0005)


def test_a_hundred_adapters_of_100_mb_take_10_gb_beside_the_model():
    hundred = Comparison(styles=100, model_bytes=14 * GB, adapter_bytes=100 * MB)
    assert hundred.together_bytes - hundred.model_bytes == 10 * GB


def test_a_slot_has_room_for_the_vocabulary_too_and_a_cached_adapter_has_not():
    limits, layers = EngineLimits(1, 4, 16), Layers(widths=1000, parameters=0, vocabulary_widths=500)
    memory = capacity.estimate_memory(layers, limits, {16: 1})
    assert (memory.slot_bytes, memory.cache_bytes) == (1500 * 16 * 2, 1000 * 16 * 2)


def test_the_memory_cache_holds_no_more_than_it_may_and_is_reckoned_with_the_largest():
    limits = EngineLimits(max_loras=1, max_cpu_loras=3, max_lora_rank=16)
    memory = capacity.estimate_memory(Layers(widths=1000, parameters=0), limits, {16: 2, 8: 5})
    assert memory.cached == 3
    assert memory.cache_bytes == 1000 * 2 * (16 + 16 + 8)
    assert memory.disk_bytes == 1000 * 2 * (2 * 16 + 5 * 8)


def test_a_higher_rank_costs_every_slot_and_lower_ones_than_are_served_are_not_offered():
    limits = EngineLimits(max_loras=8, max_cpu_loras=8, max_lora_rank=16)
    found = capacity.estimate_by_rank(Layers(widths=1000, parameters=0), limits, {16: 1})
    assert list(found) == [16, 32, 64, 128, 256, 320, 512]
    assert found[64].slots_bytes == 4 * found[16].slots_bytes
    assert found[64].cache_bytes == found[16].cache_bytes


def test_each_replica_of_a_cluster_has_the_base_and_perhaps_the_same_adapters():
    limits = EngineLimits(max_loras=4, max_cpu_loras=4, max_lora_rank=16, replicas=2)
    memory = capacity.estimate_memory(Layers(widths=1000, parameters=5000), limits, {16: 1, 8: 2})
    assert memory.base_bytes == 2 * 5000 * 2
    assert memory.slots_bytes == 4 * memory.slot_bytes
    assert memory.cache_bytes == 1000 * 2 * (2 * 16 + 2 * 8)
    assert memory.disk_bytes == 1000 * 2 * (16 + 2 * 8)


def test_a_cluster_is_registered_with_its_replicas_and_the_sums_of_their_limits(
    base_model, settings, tmp_path
):
    (tmp_path / "config.json").write_text(json.dumps(base_model.config))
    settings.BASE_MODEL_DIR, settings.ENGINE_REPLICAS, settings.ENGINE_MAX_LORAS = tmp_path, 2, 8
    engine = engine_actions.register_engine()
    assert (engine.replicas, engine.max_loras) == (2, 16)
    assert engine_actions.register_engine() == engine
    Engine.objects.update(is_gone=True)
    with pytest.raises(EngineGone, match="different name"):
        engine_actions.register_engine()


def smollm_135m() -> Layers:
    """SmolLM2-135M: 30 layers of width 576, a third as many heads for keys and values, tied embeddings."""
    widths = 30 * (2 * (576 + 576) + 2 * (576 + 192) + 3 * (576 + 1536))
    return Layers(widths, parameters=134_515_008, vocabulary=49_152, hidden=576, depth=30)


def test_training_the_demos_base_on_a_processor_stays_within_its_bound():
    memory = capacity.estimate_training(smollm_135m(), device="cpu")
    assert 1.2 * GB < memory.total_bytes <= 2.5 * GB


def test_training_needs_less_of_a_card_where_the_base_is_quantised():
    base = replace(llama_8b(), vocabulary=128_256, hidden=4096, depth=32)
    whole = capacity.estimate_training(base, device="cuda")
    quantised = capacity.estimate_training(base, device="cuda", is_quantised=True)
    assert whole.base_bytes == 2 * base.parameters
    assert quantised.base_bytes < 0.3 * whole.base_bytes
    assert quantised.work_bytes == whole.work_bytes
    assert 16 * GB < whole.total_bytes < 32 * GB


def test_the_command_says_what_training_needs_and_where_that_must_not_come_from(engine, settings):
    settings.TRAINING_DEVICE = "cuda"
    assert "of a card of its own, or that the engine leaves free" in told("--engine", engine.name)
    settings.TRAINING_DEVICE = "cpu"
    assert "of main memory" in told("--engine", engine.name)
    settings.TRAINING = False
    assert "Training a style" not in told("--engine", engine.name)


def told(*words: str) -> str:
    out = io.StringIO()
    call_command("capacity", *words, stdout=out)
    return out.getvalue()


def test_the_command_counts_what_is_placed_on_an_engine_and_all_styles_before_anything_is(acme, engine):
    known(acme, "noir", engine, rank=8)
    known(acme, "legal", engine, rank=8)
    second = twin_of(engine, "second")
    assert "2 styles" in told("--engine", "second")
    known(acme, "haiku", second, rank=4)
    assert "1 styles" in told("--engine", "second")
    assert "2 styles" in told("--engine", engine.name)


def test_the_command_counts_every_style_on_a_cluster_and_the_base_for_each_replica(acme, engine):
    known(acme, "noir", engine, rank=8)
    cluster = twin_of(engine, "cluster", kind=Engine.Kind.RAY, replicas=2)
    known(acme, "haiku", cluster, rank=4)
    answer = told("--engine", "cluster")
    assert "2 styles" in answer
    assert "2 replicas" in answer


def test_the_command_tells_the_seeds_table(engine):
    answer = told("--styles", "50", "--rank", "8")
    assert "50 full models of 14.0 GB: 700.0 GB" in answer
    assert "one and 50 adapters of 50 MB: 16.5 GB (97.6% less)" in answer


def test_the_command_says_when_there_is_no_engine(db):
    with pytest.raises(CommandError, match="No such engine"):
        call_command("capacity", "--engine", "nowhere")
