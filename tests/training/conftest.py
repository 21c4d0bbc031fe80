import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from adapters import object_store
from adapters.models import BaseModel
from core.money import NANO
from tenants.metering.credits import grant_credit
from tenants.models import Tenant
from tenants.public import Access, access_of_person
from tests.adapters.builders import adapter_files
from training import actions, pipeline, storage
from training.models import Training

WORDS = ("river", "stone", "morning", "window", "paper", "garden", "letter", "shadow", "summer", "winter")


def make_text(words: int, seed: int = 0) -> str:
    """Return a text of so many words in paragraphs of some 60: no eight words are there twice."""
    dice = random.Random(seed)
    paragraphs = []
    for start in range(0, words, 60):
        count = min(60, words - start)
        paragraphs.append(" ".join(dice.choices(WORDS, k=count)) + ".")
    return "\n\n".join(paragraphs)


def list_stored(training_id: UUID) -> list[str]:
    """Return the keys of all files that the storage has of a training."""
    return object_store.list_folder(storage.folder_of(training_id))


@pytest.fixture
def trainer(tmp_path: Path, settings, monkeypatch) -> Callable[..., None]:
    """Let a fake train; what it is called with is how the child behaves from then on."""
    settings.TRAINING_PYTHON = sys.executable
    settings.TRAINING_PROGRAM = str(Path(__file__).parent / "fake_trainer.py")
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
def draft(access: Access, base_model: BaseModel, valkey) -> Training:
    """A training with two texts that were read."""
    training = actions.create_training(access, slug="my-voice", name="My voice")
    for number in (1, 2):
        actions.add_text(access, training, f"chapter-{number}.txt", make_text(4000, number))
    pipeline.advance_training(training)
    return training


@pytest.fixture
def ready(access: Access, draft: Training) -> Training:
    """A training that can be started."""
    actions.prepare_training(access, draft)
    pipeline.advance_training(draft)
    draft.refresh_from_db()
    return draft


@pytest.fixture
def queued(access: Access, ready: Training) -> Training:
    """A training that waits for a worker. It is paid from credits."""
    grant_credit(access.tenant, 5 * NANO, source="promotion", source_id="1", reason="Try it", actor="tests")
    actions.start_training(access, ready, states_rights=True)
    ready.refresh_from_db()
    return ready
