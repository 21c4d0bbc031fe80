"""Fixtures of tests/training that other folders' tests use as well."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from adapters.models import BaseModel
from tenants.access import Access, access_of_person
from tenants.models import Tenant
from tests.adapters.builders import adapter_files
from tests.training.builders import make_text, read_all
from training import actions
from training.models import Training
from training.reading import child, readers
from training.reading.limits import ReadingLimits
from training.reading.sandbox import Answer

TRAINER = Path(__file__).parents[1] / "training" / "fake_trainer.py"


@pytest.fixture
def reads_here(monkeypatch) -> None:
    """Read documents in this process: starting a child for each takes longer than reading it.

    Only tests of the child and of its limits need the child.
    """

    def read_here(request: bytes, content: bytes, **_: object) -> Answer:
        asked = json.loads(request)
        documents = child.read_file(asked["name"], content, ReadingLimits(**asked["limits"]))
        return Answer(json.dumps([asdict(document) for document in documents]).encode(), is_late=False)

    monkeypatch.setattr(child, "_lock", lambda: None)
    monkeypatch.setattr(child, "_read_apart", readers.read)
    monkeypatch.setattr("training.reading.run_child", read_here)


@pytest.fixture
def trainer(tmp_path: Path, settings, monkeypatch) -> Callable[..., None]:
    """Let a fake train; what it is called with is how the child behaves from then on."""
    settings.TRAINING_PYTHON = sys.executable
    settings.TRAINING_PROGRAM = str(TRAINER)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "adapter"
    folder.mkdir()
    for name, content in adapter_files().items():
        (folder / name).write_bytes(content)

    def behave(**behaviour: object) -> None:
        (tmp_path / "fake.json").write_text(json.dumps(behaviour))

    return behave


@pytest.fixture
def access(alice, acme: Tenant) -> Access:
    return access_of_person(alice, acme, address=None)


@pytest.fixture
def draft(access: Access, base_model: BaseModel, valkey, reads_here) -> Training:
    """A training with two texts that were read."""
    training = actions.create_training(access, slug="my-voice", name="My voice")
    for number in (1, 2):
        actions.add_text(access, training, f"chapter-{number}.txt", make_text(4000, number))
    read_all()
    return training
