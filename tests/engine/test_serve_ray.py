import json
from pathlib import Path

import pytest
import serve
import serve_ray

from tests.engine.engine_python import option

CPU = {"ENGINE_DEVICE": "cpu", "S3_BUCKET": "shelf", "RAY_DIR": "/data/ray"}


def test_a_replica_gets_the_same_limits_as_a_vllm_of_its_own():
    settings = serve.read_settings(
        CPU | {"ENGINE_MAX_LORAS": "3", "ENGINE_MAX_CPU_LORAS": "5", "ENGINE_DTYPE": "float32"}
    )
    arguments = serve_ray.llm_config(settings, serve_ray.read_cluster(CPU))["engine_kwargs"]

    alone = serve.server_arguments(settings)
    shared = {name: value for name, value in arguments.items() if value is not True}
    assert {name: option(alone, f"--{name.replace('_', '-')}") for name in shared} == {
        name: as_option(value) for name, value in shared.items()
    }
    assert all(f"--{name.replace('_', '-')}" in alone for name in arguments)


def as_option(value: object) -> str:
    """Return a value as vLLM's command line has it."""
    if isinstance(value, dict):
        return json.dumps(value)
    return value[0] if isinstance(value, list) else str(value)


def test_a_cluster_whose_answers_could_not_say_that_they_are_marked_does_not_start(monkeypatch):
    monkeypatch.setenv("WATERMARK_KEYS", "1:0123456789abcdef")
    monkeypatch.setenv("S3_BUCKET", "shelf")
    with pytest.raises(serve.CannotServe, match="Unset WATERMARK_KEYS"):
        serve_ray.main()


def test_adapters_come_from_the_folder_of_what_is_sealed():
    found = serve_ray.llm_config(serve.read_settings(CPU), serve_ray.read_cluster(CPU))
    assert found["lora_config"]["dynamic_lora_loading_path"] == "s3://shelf/adapters"


def test_the_clusters_own_ports_want_a_key_and_nothing_is_reported():
    settings = serve.read_settings(CPU | {"ENGINE_API_KEY": "secret"})
    variables = serve_ray.cluster_environment(settings, serve_ray.read_cluster(CPU), CPU)
    assert (variables["RAY_AUTH_MODE"], variables["RAY_AUTH_TOKEN"]) == ("token", "secret")
    assert variables["RAY_USAGE_STATS_ENABLED"] == "0"


def test_replicas_on_one_cpu_share_its_cores_but_one(monkeypatch):
    monkeypatch.setattr(serve_ray.os, "sched_getaffinity", lambda _: set(range(9)))
    cluster = serve_ray.read_cluster(CPU | {"ENGINE_REPLICAS": "4"})
    assert serve_ray.cluster_environment(serve.read_settings(CPU), cluster, CPU)["OMP_NUM_THREADS"] == "2"


def test_copies_of_adapters_lie_in_the_clusters_own_folder():
    variables = serve_ray.cluster_environment(serve.read_settings(CPU), serve_ray.read_cluster(CPU), CPU)
    assert Path(variables["RAY_ADAPTERS_DIR"]).is_relative_to(CPU["RAY_DIR"])


def test_a_missing_bucket_is_named():
    with pytest.raises(serve.CannotServe, match="S3_BUCKET"):
        serve_ray.read_cluster({})
