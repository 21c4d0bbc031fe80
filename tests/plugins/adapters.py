"""Fixtures of tests/adapters that other folders' tests use as well."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts.workspaces import first_party_tenant
from adapters.catalog import sharing
from adapters.evidence import drafts
from adapters.models import BaseModel, Engine, Style
from adapters.routing import publisher
from tenants.models import Tenant
from tests.adapters.builders import LAYERS, WIDTH, known, module_names
from tests.adapters.evidence.cases import EqualWords
from tests.fakes.vllm_control import BASE, FakeVllm


@pytest.fixture
def base_model(db, settings) -> BaseModel:
    settings.BASE_MODEL = BASE
    config = {"model_type": "llama", "num_hidden_layers": LAYERS, "torch_dtype": "bfloat16"}
    modules = {name: {"out": WIDTH, "in": WIDTH, "norm": 8.0} for name in module_names()}
    return BaseModel.objects.create(name=settings.BASE_MODEL, config=config, modules=modules)


@pytest.fixture
def folder(tmp_path: Path, settings) -> Path:
    """The folder in which the engine's worker keeps local copies of adapters."""
    settings.ENGINE_ADAPTERS_DIR = tmp_path / "adapters"
    return settings.ENGINE_ADAPTERS_DIR


@pytest.fixture
def vllm(settings) -> Iterator[FakeVllm]:
    settings.ENGINE_API_KEY = "engine-key"
    engine = FakeVllm(api_key="engine-key")
    yield engine
    engine.stop()


@pytest.fixture
def registered_engine(base_model: BaseModel, vllm: FakeVllm, folder: Path) -> Engine:
    """The row of the fake engine `vllm`."""
    engine = Engine.objects.create(
        name="local",
        url=vllm.url,
        base_model=base_model,
        device=Engine.Device.CPU,
        max_loras=8,
        max_cpu_loras=64,
        max_lora_rank=16,
        max_model_len=2048,
    )
    publisher.mark_engines_changed([engine.pk])
    return engine


@pytest.fixture
def engine(registered_engine: Engine) -> Engine:
    return registered_engine  # in tests/inference, `engine` is the fake itself


@pytest.fixture
def polyscribe(db) -> Tenant:
    return first_party_tenant()


@pytest.fixture
def poetry(polyscribe: Tenant, registered_engine: Engine) -> Style:
    """A public style of the first party that serves."""
    style = known(polyscribe, "poetry", registered_engine).style
    sharing.set_public(style)
    style.refresh_from_db()
    return style


@pytest.fixture
def verifies(monkeypatch) -> None:
    monkeypatch.setattr(drafts.Verifier, "from_bytes", lambda stored: EqualWords())
