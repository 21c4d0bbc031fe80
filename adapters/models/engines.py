"""Base models, the engines that serve them, and which adapter version is placed on which engine."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import models
from django.utils import timezone

from core.message_fields import MessageField

if TYPE_CHECKING:
    from adapters.models.versions import AdapterVersion  # noqa: F401


SILENT_AFTER = timedelta(seconds=30)  # longer than a pass without any report
SAME_START = timedelta(seconds=2)  # a clock may be set between two readings of when the process began


def engine_name_of(version_id: UUID) -> str:
    """Return a version's name in engines: opaque, so that no tenant's text reaches an engine."""
    return f"v_{version_id.hex}"


def validate_address(url: str) -> None:
    """Raise ValidationError for what is neither a web address nor the path of a Unix domain socket."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        URLValidator(schemes=["http", "https"])(url)
    elif parts.netloc or len(parts.path) < 2:
        raise ValidationError("Write a socket as unix:///run/engine.sock, with three slashes.")


class BaseModel(models.Model):
    """The shared model under all adapters. Its shapes and norms are what uploads are checked against."""

    name = models.CharField(
        max_length=100, unique=True, help_text="The name under which the engine serves it."
    )
    config = models.JSONField(help_text="Its config.json.")
    modules = models.JSONField(
        help_text="Per linear module, e.g. model.layers.0.self_attn.q_proj: "
        '{"out": rows, "in": columns, "norm": Frobenius norm of the weight}.'
    )
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class EngineQuerySet(models.QuerySet["Engine"]):
    def of(self, base_model: BaseModel | int) -> "EngineQuerySet":
        """Return the engines on which adapters of a base model are to be placed."""
        return self.filter(base_model=base_model, is_draining=False).order_by("name")

    def stale(self) -> "EngineQuerySet":
        """Return the engines that changed since they were last published to the gateways."""
        return self.filter(generation__gt=models.F("observed_generation"))

    def silent(self) -> "EngineQuerySet":
        """Return the engines whose workers have not reported for a while, or never."""
        return self.exclude(checked_at__gt=timezone.now() - SILENT_AFTER)

    def with_counts(self) -> "EngineQuerySet":
        """Return the engines with how many placements they want, have (`loaded`) and lack (`missing`)."""
        is_desired = models.Q(placements__is_desired=True)
        is_loaded = models.Q(placements__loaded_at__isnull=False)
        return self.annotate(
            wanted=models.Count("placements", filter=is_desired),
            loaded=models.Count("placements", filter=is_loaded),
            missing=models.Count("placements", filter=is_desired & ~is_loaded),
        )

    def in_service(self) -> "EngineQuerySet":
        """Return the engines that are to take requests."""
        return self.filter(is_gone=False, is_draining=False)

    def answering(self) -> "EngineQuerySet":
        """Return those of them that answered their worker a moment ago."""
        lately = timezone.now() - SILENT_AFTER
        return self.in_service().filter(is_healthy=True, checked_at__gt=lately)


class Engine(models.Model):
    """One vLLM server, or a cluster of them. A worker beside it serves the queue `engine.<name>`."""

    class Device(models.TextChoices):
        CPU = "cpu", "CPU"
        CUDA = "cuda", "CUDA"

    class Kind(models.TextChoices):
        VLLM = "vllm", "vLLM (adapters are pushed)"
        RAY = "ray", "Ray Serve LLM (adapters are pulled from S3)"

    name = models.SlugField(max_length=60, unique=True, help_text="The ENGINE_NAME of the engine's worker.")
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.VLLM)
    url = models.CharField(
        max_length=200,
        validators=[validate_address],
        help_text=(
            "Must be on a private network: the engine has no protection of its own. Or "
            "unix:///run/engine.sock if the gateways and the worker run on the same machine."
        ),
    )
    base_model = models.ForeignKey(BaseModel, on_delete=models.PROTECT, related_name="engines")
    device = models.CharField(max_length=8, choices=Device)
    max_loras = models.PositiveIntegerField(help_text="Adapter slots in one batch.")
    max_cpu_loras = models.PositiveIntegerField(help_text="Adapters cached in memory.")
    max_lora_rank = models.PositiveIntegerField()
    max_model_len = models.PositiveIntegerField(help_text="Maximum tokens of prompt and answer together.")
    max_num_seqs = models.PositiveIntegerField(
        default=128, help_text="Maximum concurrent requests; the gateway sends no more."
    )
    max_adapters = models.PositiveIntegerField(
        default=10_000,
        help_text="Maximum registered adapters. Those that don't fit in memory are read from disk.",
    )
    replicas = models.PositiveIntegerField(
        default=1,
        help_text="For a cluster: number of replicas, each with its own base model and these limits.",
    )
    is_draining = models.BooleanField(default=False, help_text="Draining: gets no new adapters or requests.")
    is_gone = models.BooleanField(
        default=False,
        editable=False,
        help_text="Permanently out of service. Kept so that erasures know which adapters it had.",
    )
    is_healthy = models.BooleanField(default=False, editable=False)
    note = MessageField(editable=False)
    checked_at = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="When the engine's process started, as it reports.",
    )
    # Counted up in the same transaction as any change that the gateways must know.
    generation = models.PositiveBigIntegerField(default=0, editable=False)
    observed_generation = models.PositiveBigIntegerField(default=0, editable=False)

    objects = EngineQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    @property
    def is_silent(self) -> bool:
        """Whether its worker has not reported for a while, or never."""
        return self.checked_at is None or self.checked_at <= timezone.now() - SILENT_AFTER

    @property
    def queue(self) -> str:
        """The Celery queue of the worker beside this engine."""
        return f"engine.{self.name}"

    def is_process_of(self, began: datetime) -> bool:
        """Return whether the process that serves is known to be the one that began then."""
        return self.started_at is not None and abs(self.started_at - began) <= SAME_START

    def adapter_name(self, version_id: UUID) -> str:
        """Return the name under which the engine serves a version."""
        if self.kind == Engine.Kind.RAY:
            return f"{self.base_model.name}:{version_id}"
        return engine_name_of(version_id)


class PlacementQuerySet(models.QuerySet["Placement"]):
    def missing(self) -> "PlacementQuerySet":
        """Return what is wanted and not loaded, and may be tried now."""
        return self.filter(is_desired=True, loaded_at=None).exclude(retry_at__gt=timezone.now())

    def lock(self, ids: Iterable[int]) -> "PlacementQuerySet":
        """Lock some rows until the transaction ends, in one order, and return them: no two deadlock."""
        rows = self.filter(pk__in=list(ids))
        list(rows.select_for_update(no_key=True).order_by("pk").values_list("pk"))
        return rows


class Placement(models.Model):
    """One adapter version on one engine: whether it is wanted there, and whether the engine has it."""

    engine = models.ForeignKey(Engine, on_delete=models.CASCADE, related_name="placements")
    version = models.ForeignKey(
        "adapters.AdapterVersion", on_delete=models.CASCADE, related_name="placements"
    )
    is_desired = models.BooleanField(default=True)
    loaded_at = models.DateTimeField(null=True, blank=True, help_text="Empty: not in the engine's list.")
    loaded_as = models.CharField(
        max_length=200, blank=True, help_text="Name in the engine: ours, or that of a static module."
    )
    loads = models.PositiveIntegerField(default=0, help_text="Number of times it was loaded.")
    requested_at = models.DateTimeField(
        null=True, blank=True, help_text="When a request last waited for it. It stays requested for a while."
    )
    undesired_since = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Since when it is loaded but no longer needed. Unloaded after a grace period.",
    )
    retry_at = models.DateTimeField(null=True, blank=True, help_text="No further attempt before this time.")
    note = MessageField(help_text="What it is waiting for, or why the engine rejected it.")

    objects = PlacementQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("engine", "version", name="one_placement")]

    def __str__(self) -> str:
        return f"{self.version} on {self.engine}"


# How each engine was, minute by minute: the console's own series.


class EngineSample(models.Model):
    """One engine at a minute. `loads` counts from the beginning: what happened is the difference of two."""

    engine = models.ForeignKey(Engine, on_delete=models.CASCADE, related_name="samples")
    at = models.DateTimeField(help_text="Start of the minute.")
    is_answering = models.BooleanField()
    wanted = models.PositiveIntegerField()
    loaded = models.PositiveIntegerField()
    missing = models.PositiveIntegerField(help_text="Waiting to load.")
    loads = models.PositiveBigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["engine", "at"], name="one_sample_a_minute")]
        indexes = [models.Index(fields=["at"], name="engine_samples_by_time")]

    def __str__(self) -> str:
        return f"{self.engine_id} at {self.at:%Y-%m-%d %H:%M}"
