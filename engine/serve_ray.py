"""Start Ray Serve LLM on this machine: replicas of the base model that fetch adapters from S3 themselves.

    engine/serve_ray.py        settings from BASE_MODEL*, ENGINE_*, S3_* and AWS_*; ENGINE_REPLICAS is 2

The adapter in s3://$S3_BUCKET/adapters/<id>/ is the model `<base model>:<id>`; ENGINE_* limits are each
replica's. Run it with the engine environment's Python after engine/install.py --ray. Ray Serve takes requests
without any key, and its replicas take calls from each other on ports of all interfaces: this is for a machine
whose network is private.
"""

import os
import shutil
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import serve

ADAPTERS = "adapters"  # the folder in which the platform seals what it has checked
OBJECT_STORE_BYTES = 100 * 1024**2  # Ray's smallest is 75 MiB; nothing but requests passes through it
SPARE_REQUESTS = 4  # for what the gateway doesn't count: health checks and samples
# A number for Ray's bookkeeping: of a machine's two, Ray's own parts would leave none for a replica.
LOGICAL_CPUS = 8
# Its answers would have the mark, and nothing that tells the gateway so: our guard isn't before Ray Serve.
UNMARKED = (
    "Ray Serve LLM can't tell that its answers are marked. Unset WATERMARK_KEYS and WATERMARK_KEY for this "
    "engine, or use engine/serve.py."
)


@dataclass(frozen=True)
class Cluster:
    """What the environment decides beside the engine's settings."""

    replicas: int
    bucket: str
    folder: Path


def read_cluster(environ: Mapping[str, str]) -> Cluster:
    """Return the cluster that `environ` describes. Raises CannotServe."""
    if not environ.get("S3_BUCKET"):
        raise serve.CannotServe("S3_BUCKET is not set. Set it to the bucket with the adapters.")
    return Cluster(
        replicas=serve.read_number(environ, "ENGINE_REPLICAS", 2),
        bucket=environ["S3_BUCKET"],
        folder=Path(environ.get("RAY_DIR") or serve.ROOT / "var/ray").absolute(),
    )


def cluster_environment(
    settings: serve.Settings, cluster: Cluster, environ: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables that Ray's processes, the replicas among them, need beside those already set."""
    variables = {
        **serve.engine_environment(settings),
        "RAY_ADAPTERS_DIR": str(cluster.folder / ADAPTERS),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # a cluster of one machine: Ray's own ports are on loopback
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_LOG_TO_STDERR": "0",
        "RAY_num_workers_soft_limit": "1",  # else helpers of 460 MB each stay idle
        "AWS_DEFAULT_REGION": environ.get("S3_REGION", ""),
    }
    endpoint = environ.get("S3_ENDPOINT_URL")
    if endpoint:
        variables["AWS_ENDPOINT_URL_S3"] = endpoint
    if settings.device == "cpu":  # else every replica binds its threads to the same cores
        threads = max(1, (len(os.sched_getaffinity(0)) - 1) // cluster.replicas)
        variables |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(threads)}
    if settings.api_key:  # anyone who can start tasks can do anything: Ray's own ports get a key
        variables |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": settings.api_key}
    return variables


def llm_config(settings: serve.Settings, cluster: Cluster) -> dict[str, object]:
    """Return what Ray Serve LLM is to run, as its LLMConfig."""
    bundle = {"CPU": 1}
    for_cpu = {}
    if settings.device == "cpu":
        for_cpu["max_num_batched_tokens"] = serve.step_tokens(settings)
        for_cpu["worker_cls"] = serve.CPU_WORKER
        if serve.missing_for_compiling():
            for_cpu["enforce_eager"] = True
    else:
        bundle["GPU"] = 1
    return {
        "model_loading_config": {
            "model_id": settings.base_model,
            "model_source": str(settings.base_model_dir),
        },
        "lora_config": {
            "dynamic_lora_loading_path": f"s3://{cluster.bucket}/{ADAPTERS}",
            "max_num_adapters_per_replica": settings.max_cpu_loras,
        },
        "placement_group_config": {"bundles": [bundle]},
        "deployment_config": {
            "num_replicas": cluster.replicas,
            "max_ongoing_requests": settings.max_num_seqs
            + SPARE_REQUESTS,  # a style with more goes to others, too
            "health_check_period_s": 2,
        },
        "server_cls": "ray_replica.Replica",
        "log_engine_metrics": False,
        "engine_kwargs": {
            "dtype": settings.dtype,
            "max_model_len": settings.max_model_len,
            "max_num_seqs": settings.max_num_seqs,
            **for_cpu,
            "scheduling_policy": "priority",
            "enable_lora": True,
            "max_loras": settings.max_loras,
            "max_cpu_loras": settings.max_cpu_loras,
            "max_lora_rank": settings.max_lora_rank,
            "enable_force_include_usage": True,
            "enable_prompt_tokens_details": True,
            "enable_auto_tool_choice": True,
            "tool_call_parser": serve.TOOL_PARSER,  # ray_replica.py makes it known
            "structured_outputs_config": serve.STRUCTURED_OUTPUTS,
            "limit_mm_per_prompt": serve.MEDIA_LIMITS,
            "allowed_media_domains": [serve.NO_MEDIA_DOMAIN],
        },
    }


def start_cluster(settings: serve.Settings, cluster: Cluster) -> None:
    """Start the cluster and return once its replicas answer."""
    import ray  # noqa: PLC0415  reads the variables above when it is imported
    from ray import serve as ray_serve  # noqa: PLC0415
    from ray.serve.llm import LLMConfig, build_openai_app  # noqa: PLC0415

    ray.init(
        "local",
        num_cpus=max(LOGICAL_CPUS, os.cpu_count() or 1),
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        _temp_dir=str(cluster.folder),
    )
    ray_serve.start(http_options={"host": settings.host, "port": settings.port})
    ray_serve.run(build_openai_app({"llm_configs": [LLMConfig(**llm_config(settings, cluster))]}))


def main() -> None:
    settings = serve.read_settings(os.environ)
    if settings.watermark:
        raise serve.CannotServe(UNMARKED)
    cluster = read_cluster(os.environ)
    serve.check_installation(settings)
    os.environ.update(cluster_environment(settings, cluster, os.environ))
    sys.path.append(str(serve.EXTENSIONS))  # Ray imports the replica in this process, too
    shutil.rmtree(cluster.folder / ADAPTERS, ignore_errors=True)  # some may be erased by now
    start_cluster(settings, cluster)
    where = f"{settings.host}:{settings.port}"
    print(f"Engine: {cluster.replicas} x {settings.base_model} in a Ray cluster on {where}", flush=True)
    stopped = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stopped.set())
    stopped.wait()


if __name__ == "__main__":
    main()
