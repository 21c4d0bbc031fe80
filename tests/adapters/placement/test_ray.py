"""A Ray cluster pulls what a request names: nothing is cached or pushed for it, and it forgets nothing."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from adapters import object_store
from adapters.models import Engine, Placement, Status
from adapters.placement import planner, reconciler, transitions
from tests.adapters.builders import adapter_files, pushed, served
from tests.adapters.routes import routes_of
from tests.fakes.vllm_control import BASE, FakeVllm

pytestmark = pytest.mark.django_db(transaction=True)


class FakeCluster(FakeVllm):
    """Answers for all that the storage has, under Ray's names; `pulled` are the folders it needed."""

    def __init__(self) -> None:
        super().__init__(api_key="engine-key")
        self.pulled: list[str] = []

    def answer(self, method: str, path: str, key: str, body: dict[str, Any]) -> tuple[int, object]:
        if path == "/tokenize":
            return (503, "") if self.core_is_dead else (200, {"count": 1})
        assert path in ("/v1/completions", "/v1/chat/completions"), path
        if body["model"] == BASE:
            return self._write(body)
        folder = body["model"].removeprefix(f"{BASE}:")
        if not object_store.remaining(UUID(folder), []):
            return 404, {"detail": f"Unable to find LoRA adapter config file in folder {folder}."}
        self.pulled.append(folder)
        self.loaded = {folder: ""}
        return self._write(body | {"model": folder})


@pytest.fixture
def ray(settings) -> Iterator[FakeCluster]:
    settings.ENGINE_API_KEY = "engine-key"
    cluster = FakeCluster()
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(base_model, ray, folder) -> Engine:
    return Engine.objects.create(
        name="cluster",
        kind=Engine.Kind.RAY,
        url=ray.url,
        base_model=base_model,
        device=Engine.Device.CPU,
        max_loras=16,
        max_cpu_loras=128,
        max_lora_rank=16,
        max_model_len=2048,
    )


def test_a_version_serves_under_the_clusters_name_without_a_local_copy(acme, cluster, folder):
    version = served(acme, "noir", cluster)
    (place,) = routes_of(acme.pk)["noir"]["places"]
    assert (place["lora"], place["kind"]) == (f"{BASE}:{version.pk}", "ray")
    assert not folder.exists()


def test_a_version_without_effect_is_refused(acme, cluster, ray):
    ray.effect = 0.0
    version = pushed(acme, cluster)
    assert version.status == Status.FAILED
    assert "is rounding error" in str(version.failure)


def test_what_serves_elsewhere_serves_on_a_new_cluster_at_once(acme, engine, cluster, ray):
    cluster.is_draining = True
    cluster.save()
    versions = [served(acme, slug, engine, adapter_files(seed=seed)) for seed, slug in enumerate(("a", "b"))]
    Engine.objects.update(is_draining=False)
    cluster.refresh_from_db()  # as its worker does before each pass
    Placement.objects.bulk_create(Placement(engine=cluster, version=version) for version in versions)
    reconciler.reconcile(cluster)
    assert cluster.placements.exclude(loaded_at=None).count() == 2
    assert ray.pulled == []


def test_a_cluster_that_restarts_keeps_its_versions(acme, cluster, ray):
    served(acme, "noir", cluster)
    ray.core_is_dead = True
    reconciler.reconcile(cluster)
    cluster.refresh_from_db()
    assert not cluster.is_healthy
    ray.core_is_dead, ray.pulled = False, []
    reconciler.reconcile(cluster)
    cluster.refresh_from_db()
    assert cluster.is_healthy
    assert (cluster.placements.get().loads, ray.pulled) == (1, [])


def test_a_retired_version_leaves_the_cluster(acme, cluster):
    transitions.retire_version(served(acme, "noir", cluster))
    planner.plan_all()
    reconciler.reconcile(cluster)
    assert cluster.placements.get().loaded_as == ""
    assert "noir" not in routes_of(acme.pk)
