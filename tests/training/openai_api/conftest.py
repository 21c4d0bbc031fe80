"""The real site over a socket, and OpenAI's official client before it."""

import re
from collections.abc import Callable, Iterator

import httpx
import openai
import pytest
from jsonschema import Draft202012Validator

from adapters.models import BaseModel
from adapters.uploads import pipeline as upload_pipeline
from config.celery import app
from core.money import NANO
from metering.credits import grant_credit
from tenants.models import Tenant, User
from tests.site_thread import SiteThread
from tests.tenants.builders import issue_key
from tests.training.builders import read_all
from training import pipeline
from training.models import Training
from training.runs import runner
from website import api_schema


@pytest.fixture
def address(transactional_db, valkey, acme: Tenant, base_model: BaseModel, settings) -> Iterator[str]:
    """Where the site listens; its workers do at once what there is to do, but no training runs by itself."""
    settings.BASE_MODEL = base_model.name
    grant_credit(acme, 5 * NANO, source="promotion", source_id="1", reason="Try it", actor="tests")
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    app.loader.import_default_modules()
    with SiteThread() as found:
        yield found


@pytest.fixture
def new_client(address: str) -> Iterator[Callable[..., openai.OpenAI]]:
    """Makes a client with a key of a workspace. Every answer must be as the OpenAPI document describes it."""
    http = openai.DefaultHttpxClient(event_hooks={"response": [require_described]})

    def make(tenant: Tenant, *scopes: str, by: User | None = None) -> openai.OpenAI:
        _, secret = issue_key(tenant, name="laptop", by=by, scopes=list(scopes) or ["admin"])
        options = {"max_retries": 0, "timeout": 60, "http_client": http}
        return openai.OpenAI(base_url=f"{address}/v1", api_key=secret, **options)

    with http:
        yield make


def require_described(response: httpx.Response) -> None:
    """Fail unless the OpenAPI document describes an answer."""
    document = api_schema.document()
    path = response.request.url.path
    matching = [methods for known, methods in document["paths"].items() if _is_at(path, known)]
    [operation] = [methods[response.request.method.lower()] for methods in matching]
    media_type = response.headers["content-type"]
    schema = operation["responses"][str(response.status_code)]["content"][media_type]["schema"]
    if media_type == "application/json":
        response.read()
        Draft202012Validator({**schema, "components": document["components"]}).validate(response.json())


def _is_at(path: str, template: str) -> bool:
    return bool(re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path))


@pytest.fixture
def client(new_client, acme: Tenant) -> openai.OpenAI:
    return new_client(acme, "styles:read", "styles:write")


@pytest.fixture
def work() -> Callable[[], None]:
    """Take the steps that workers would take, until nothing is left to do."""

    def take_steps() -> None:
        read_all()
        for training in pipeline.to_advance():
            pipeline.advance_training(training)
        while runner.run_next():
            pass
        for training in Training.objects.filter(status="finishing"):
            pipeline.advance_training(training)
            training.refresh_from_db()
            if training.version:
                upload_pipeline.advance_version(training.version)
            pipeline.advance_training(training)

    return take_steps
