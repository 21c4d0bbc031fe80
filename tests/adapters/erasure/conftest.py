"""What the tests of erasures share: steps taken as beat takes them, and an engine that restarts."""

import pytest

from adapters import tasks
from adapters.erasure import report, workflow
from adapters.models import AdapterVersion, EngineErasure, Erasure
from core import valkey as keys
from tests.adapters.builders import eager_tasks, served

FILES = ("adapter_config.json", "adapter_model.safetensors")


@pytest.fixture
def ready_gateways(valkey):
    """Every gateway has restored its holds: Valkey was not flushed."""
    valkey.set(keys.epoch_key(), "whole")


@pytest.fixture
def version(acme, engine, vllm) -> AdapterVersion:
    return served(acme, "noir", engine)


def erase(version, **options) -> Erasure:
    return workflow.erase_version(
        AdapterVersion.objects.select_related("style__owner").get(pk=version.pk), None, **options
    )


def advance(erasure: Erasure) -> Erasure:
    """Take every step that can be taken, as beat does: here and beside each engine."""
    with eager_tasks():
        tasks.erase_all()
        tasks.reconcile_all()
    return Erasure.objects.get(pk=erasure.pk)


def on_engine(erasure: Erasure) -> EngineErasure:
    return erasure.engines.get()


def restart(vllm, *, began: float = 60) -> None:
    """Restart an engine that says it began so many seconds from now."""
    vllm.restart()
    vllm.began_s += began


def waits_for(erasure: Erasure) -> list[str]:
    return [line.note for line in report.erasure_report(erasure).lines if line.state == "current"]
