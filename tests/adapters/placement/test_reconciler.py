"""Engines forget, refuse, die, bring adapters of their own; in the end they serve what is wanted."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from adapters.models import AdapterVersion, BaseModel, Engine, Placement, Status, Style
from adapters.placement import local_cache, planner, reconciler, transitions
from adapters.quality import effect_probe
from adapters.uploads import pipeline
from tests.adapters.builders import (
    Files,
    adapter_files,
    known,
    pushed,
    served,
    storage_down,
    twin_of,
    uploaded,
)
from tests.adapters.routes import routes_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_engine_that_restarted_gets_everything_again_without_a_download(acme, engine, vllm):
    versions = [
        served(acme, slug, engine, adapter_files(seed=seed)) for seed, slug in enumerate(("noir", "odes"))
    ]
    vllm.restart()
    with storage_down():
        reconciler.reconcile(engine)
    assert set(vllm.loaded) == {version.engine_name for version in versions}
    assert list(Placement.objects.values_list("loads", flat=True)) == [2, 2]
    assert Style.objects.exclude(live_version=None).count() == 2


@pytest.fixture
def library(acme, engine, vllm, folder, monkeypatch) -> list[AdapterVersion]:
    """Eight versions that serve, their files beside the engine, which loads five at a time."""
    monkeypatch.setattr(reconciler, "BATCH_SIZE", 5)
    versions = [known(acme, f"style-{seed}", engine) for seed in range(8)]
    for seed, version in enumerate(versions):
        write_local(version, adapter_files(seed=seed))
        vllm.loaded[version.engine_name] = str(local_cache.path_of(version))
    reconciler.reconcile(engine)
    return versions


def write_local(version: AdapterVersion, files: Files) -> None:
    path = local_cache.path_of(version)
    path.mkdir(parents=True)
    for name, content in files.items():
        (path / name).write_bytes(content)
    config_sha256, sha256 = local_cache.read_digests(path)
    AdapterVersion.objects.filter(pk=version.pk).update(config_sha256=config_sha256, sha256=sha256)


def observed[T](monkeypatch, look: Callable[[], T]) -> list[T]:
    """Return what `look` returns each time that versions are marked as loaded, until the test ends."""
    seen: list[T] = []
    mark_all_loaded = transitions.mark_all_loaded

    def mark_and_look(*args, **kwargs):
        mark_all_loaded(*args, **kwargs)
        seen.append(look())

    monkeypatch.setattr(transitions, "mark_all_loaded", mark_and_look)
    return seen


def test_after_a_restart_nothing_is_probed_again_and_styles_serve_batch_by_batch(
    acme, engine, vllm, library, monkeypatch
):
    monkeypatch.setattr(effect_probe, "measure_effect", None)
    published = observed(monkeypatch, lambda: len(vllm.loaded))
    vllm.restart()
    assert not reconciler.reconcile(engine)
    assert published == [5, 8]
    assert Placement.objects.exclude(loaded_at=None).count() == 8
    places = [route.get("places") for name, route in routes_of(acme.pk).items() if name != "base"]
    assert all(places)


def test_a_requested_version_is_loaded_first_also_if_requested_meanwhile(engine, vllm, library, monkeypatch):
    first, second = library[6], library[3]
    Placement.objects.filter(version=first).update(requested_at=timezone.now())
    observed(monkeypatch, lambda: planner.request_version(str(second.pk)))
    vllm.restart()
    engine.refresh_from_db()
    reconciler.reconcile(engine)
    loads = vllm.loads
    assert loads.index(first.engine_name) == 0
    assert loads.index(second.engine_name) == 1


def test_a_pass_ends_in_time_and_says_that_more_is_to_be_done(engine, vllm, library, monkeypatch):
    vllm.restart()
    monkeypatch.setattr(reconciler, "PASS_S", 0)
    assert reconciler.reconcile(engine)
    assert Placement.objects.filter(loaded_at=None).count() == 3
    assert reconciler.reconcile(engine)
    assert Placement.objects.filter(loaded_at=None).count() == 0
    assert not reconciler.reconcile(engine)


def test_a_pass_in_which_nothing_changes_asks_few_questions(
    engine, vllm, library, django_assert_max_num_queries
):
    with django_assert_max_num_queries(6):
        reconciler.reconcile(Engine.objects.select_related("base_model").get())


def test_the_start_of_an_engines_process_is_recorded(engine, vllm):
    reconciler.reconcile(engine)
    assert Engine.objects.get().started_at.timestamp() == pytest.approx(vllm.began_s)
    vllm.restart()
    vllm.began_s += 60
    reconciler.reconcile(engine)
    assert Engine.objects.get().started_at.timestamp() == pytest.approx(vllm.began_s)


def test_an_adapter_without_effect_is_refused_and_forgotten(acme, engine, vllm):
    vllm.effect = 0.0
    version = pushed(acme, engine)
    assert version.status == Status.FAILED
    assert set(vllm.loaded) == set()


def test_a_dead_core_counts_as_down(acme, engine, vllm):
    vllm.core_is_dead = True
    reconciler.reconcile(engine)
    engine.refresh_from_db()
    assert not engine.is_healthy
    assert str(engine.note).startswith("The engine answers with error 503")


def test_a_wrong_engine_api_key_is_named(engine, settings):
    settings.ENGINE_API_KEY = "wrong"
    reconciler.reconcile(engine)
    engine.refresh_from_db()
    assert "Check ENGINE_API_KEY" in str(engine.note)


def test_a_refused_adapter_fails_with_a_reason_without_paths_and_may_be_pushed_again(acme, engine, vllm):
    vllm.refuses_with = "While loading {path}/adapter_model.safetensors for {name}: bad\nshape"
    version = pushed(acme, engine)
    assert version.status == Status.FAILED
    assert version.failure == "While loading the file for the adapter: bad shape"
    reconciler.reconcile(engine)
    assert version.placements.get().is_desired is False  # not tried again by itself

    vllm.refuses_with = ""
    transitions.retry_version(version)
    pipeline.advance_version(version)
    reconciler.reconcile(engine)
    version.refresh_from_db()
    assert (version.status, version.failure) == (Status.SERVING, "")


@pytest.mark.parametrize(
    "fault",
    [
        "CUDA out of memory. Tried to allocate 20.00 MiB",
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 512 bytes. Error code 12",
        "[Errno 24] Too many open files",
        "[Errno 5] Input/output error",
    ],
)
def test_a_fault_of_the_machine_does_not_reject_the_adapter(acme, engine, vllm, fault):
    version = uploaded(acme)
    pipeline.advance_version(version)
    vllm.refuses_with = fault
    reconciler.reconcile(engine)
    version.refresh_from_db()
    assert (version.status, version.failure) == (Status.PUSHING, "")
    assert fault[:8] in str(version.note)


def test_an_undesired_version_is_unloaded_after_the_drain_grace_and_its_files_stay(
    acme, engine, vllm, folder, monkeypatch
):
    version = served(acme, "noir", engine)
    vllm.loaded[f"v_{'0' * 32}"] = "/somewhere/else"
    vllm.loaded["poetry-bot"] = "/a/static/module"
    transitions.retire_version(version)
    reconciler.reconcile(engine)
    assert set(vllm.loaded) == {"poetry-bot", version.engine_name}  # requests may be on their way
    monkeypatch.setattr(reconciler, "DRAIN_GRACE", timedelta(0))
    reconciler.reconcile(engine)
    assert set(vllm.loaded) == {"poetry-bot"}
    assert local_cache.is_cached(version)


def test_our_name_on_another_folder_is_loaded_again(acme, engine, vllm, folder):
    version = served(acme, "noir", engine)
    vllm.loaded[version.engine_name] = "/another/folder"
    reconciler.reconcile(engine)
    assert vllm.loaded[version.engine_name] == str(folder / str(version.pk))


def test_adapters_that_an_engine_was_started_with_are_named_and_left_alone(acme, engine, vllm):
    own = {"poetry-bot": "/elsewhere/poetry", "other-bot": "/elsewhere/other"}
    vllm.loaded |= own
    version = served(acme, "noir", engine)
    assert vllm.loaded.keys() == own.keys() | {version.engine_name}
    engine.refresh_from_db()
    assert engine.note == "Started with static modules: poetry-bot, other-bot"
    vllm.restart()  # this time without them
    reconciler.reconcile(engine)
    engine.refresh_from_db()
    assert engine.note == ""


def test_damaged_local_files_are_repaired_in_place(acme, engine, vllm, folder):
    version = served(acme, "noir", engine)
    weights = folder / str(version.pk) / "adapter_model.safetensors"
    weights.write_bytes(b"rotten")
    vllm.restart()
    reconciler.reconcile(engine)
    assert weights.read_bytes() == adapter_files()["adapter_model.safetensors"]
    assert version.engine_name in vllm.loaded
    assert sorted(path.name for path in folder.iterdir() if ".tmp-" in path.name) == []


def test_a_full_disk_is_waited_for(acme, engine, vllm, monkeypatch):
    version = uploaded(acme)
    pipeline.advance_version(version)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(local_cache.tempfile, "mkdtemp", full)
        reconciler.reconcile(engine)
    version.refresh_from_db()
    assert version.status == Status.PUSHING
    assert str(version.note).startswith("We can't write to the engine's disk.")
    reconciler.reconcile(engine)
    version.refresh_from_db()
    assert version.status == Status.SERVING


def test_a_new_engine_gets_what_serves_elsewhere_and_a_draining_one_nothing(acme, engine, vllm):
    version = served(acme, "noir", engine)
    Engine.objects.filter(pk=engine.pk).update(is_draining=True)
    second = twin_of(engine, "second", is_draining=False)
    vllm.restart()
    reconciler.reconcile(Engine.objects.get(name="local"))
    assert version.engine_name not in vllm.loaded
    assert planner.plan_all() == [second]
    reconciler.reconcile(second)
    assert Placement.objects.get(engine__name="second").loaded_at


def test_a_version_that_one_engine_refuses_goes_to_the_other_and_fails_when_both_do(acme, engine, vllm):
    second = twin_of(engine, "second")
    vllm.refuses_with = "LoRA rank 4 is greater than max_lora_rank 2."
    version = pushed(acme, engine)
    assert (version.status, version.placements.get(is_desired=True).engine) == (Status.PUSHING, second)
    reconciler.reconcile(second)
    version.refresh_from_db()
    assert (version.status, version.failure) == (Status.FAILED, vllm.refuses_with)


def test_an_engine_that_restarts_with_lower_limits_ends_no_style_and_the_next_process_serves_all(
    acme, engine, vllm
):
    version = served(acme, "noir", engine)
    vllm.restart()
    vllm.refuses_with = "LoRA rank 4 is greater than max_lora_rank 2."
    reconciler.reconcile(engine)
    version.refresh_from_db()
    assert version.status == Status.SERVING
    assert vllm.refuses_with in str(version.note)
    assert Style.objects.get().live_version == version
    assert routes_of(acme.pk)["noir"]["state"] == "loading"
    reconciler.reconcile(engine)
    assert planner.plan_all() == []  # not tried again by itself

    vllm.restart()
    vllm.began_s += 60
    vllm.refuses_with = ""
    reconciler.reconcile(engine)
    assert planner.plan_all() == [engine]
    reconciler.reconcile(engine)
    version.refresh_from_db()
    assert version.note == ""
    assert routes_of(acme.pk)["noir"]["places"]


def test_a_version_that_can_not_be_loaded_now_is_postponed_and_others_go_on(acme, engine, vllm):
    other = served(acme, "odes", engine, adapter_files(seed=1))
    version = uploaded(acme)
    pipeline.advance_version(version)
    vllm.restart()
    vllm.refuses = {version.engine_name: "CUDA out of memory. Tried to allocate 20.00 MiB"}
    reconciler.reconcile(engine)
    version.refresh_from_db()
    assert (version.status, version.failure) == (Status.PUSHING, "")
    assert "out of memory" in str(version.note)
    assert Engine.objects.get().is_healthy
    assert Placement.objects.exclude(loaded_at=None).get().version == other
    reconciler.reconcile(engine)
    assert vllm.asked_to_load.count(version.engine_name) == 1  # it is postponed

    Placement.objects.update(retry_at=timezone.now())
    vllm.refuses = {}
    reconciler.reconcile(engine)
    version.refresh_from_db()
    assert version.status == Status.SERVING


def test_an_engine_of_another_base_model_gets_nothing(acme, engine, vllm):
    Engine.objects.update(base_model=BaseModel.objects.create(name="Other-Base", config={}, modules={}))
    reconciler.reconcile(Engine.objects.get())
    assert str(Engine.objects.get().note).startswith(f"The engine serves {engine.base_model}, not Other-Base")
    assert vllm.loaded == {}
