import pytest

from core.money import NANO
from metering.credits import grant_credit
from tenants.access import Access
from tests.training.builders import answer_for_the_base
from training import actions, pipeline
from training.models import Training


@pytest.fixture(autouse=True)
def _base_answers(request, monkeypatch) -> None:
    """Answer for the base model, except where a test has an engine."""
    if "writer" not in request.fixturenames:
        answer_for_the_base(monkeypatch)


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
