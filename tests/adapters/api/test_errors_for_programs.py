"""What the API says of a failure is for programs: no sentence of a page's, fields as the API has them."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client

from adapters.models import BaseModel
from core.errors import DomainError
from metering.models import PlanVersion
from tests.adapters.builders import known
from tests.tenants.builders import issue_key
from website import api_schema

# What only somebody who sees a page can follow.
OF_PAGES = re.compile(
    r"\b(this|the) (page|form)\b|\bclick|\bbelow\b|\babove\b|\b(beside|next to) (them|the field)"
    r"|\bbutton|\bdialog|\breload\b|\bmenu\b"
    r"|\bpress\b|\btick\b|\bpasting\b|\bfiles again\b|“About”|under \"Invoices\"",
    re.IGNORECASE,
)
WRONG: tuple[Any, ...] = (None, "", "\u200b\u202e", "x" * 5000, -1, 10**30, ["x"] * 200, {"x": 1})


def every_error(root: type[DomainError] = DomainError) -> Iterator[type[DomainError]]:
    for one in root.__subclasses__():
        yield one
        yield from every_error(one)


def sentence_of(error: type[DomainError]) -> str:
    own = error.__dict__.get("for_programs") or error.__doc__ or ""
    return " ".join(own.split())


def test_no_error_that_the_api_may_raise_speaks_of_a_page():
    errors = [
        error
        for error in every_error()
        if error.__module__.partition(".")[0]
        in ("tenants", "events", "metering", "accounts", "keys", "adapters", "billing", "training", "website")
    ]
    assert len(errors) > 100
    spoken = {
        error.__qualname__: sentence_of(error)
        for error in errors
        if ".admin" not in error.__module__ and ".management" not in error.__module__
    }
    wrong = {name: sentence for name, sentence in spoken.items() if OF_PAGES.search(sentence)}
    assert not wrong


def test_an_error_speaks_to_programs_in_its_own_words_and_to_people_in_others():
    class Refused(DomainError):
        """See the notes beside {count} fields."""

        for_programs = "`errors` names {count} fields."

    class Narrower(Refused):
        """It is narrower."""

    assert Refused(count=2).program_message == "`errors` names 2 fields."
    assert Refused(count=2).message == "See the notes beside 2 fields."
    assert Narrower().program_message == "It is narrower."
    assert Refused("Given.").program_message == "Given."


@pytest.fixture
def call(acme, engine, valkey):
    """Calls an operation of the API as a program that may do everything, and returns the answer."""
    BaseModel.objects.get_or_create(name=django_settings.BASE_MODEL, defaults={"config": {}, "modules": {}})
    PlanVersion.objects.update(api_requests_per_minute=10**6)
    known(acme, "noir", engine)
    key, secret = issue_key(acme, name="wrong", by=None, scopes=["admin"])
    places = {"style": "noir", "number": "1", "workspace": "acme", "key_id": str(key.pk)}
    client = Client(headers={"Authorization": f"Bearer {secret}"})

    def call(method: str, path: str, **options: Any) -> Any:
        filled = re.sub(r"\{(\w+)\}", lambda name: places.get(name[1], str(key.pk)), path)
        filled = filled.replace("{member_id}", "1")
        return client.generic(method.upper(), filled, **options)

    return call


def bodies() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and the schema of the body of each operation that has one."""
    document = api_schema.document()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody")
            if body and path.startswith("/api/v1/"):
                name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                yield method, path, document["components"]["schemas"][name]


def read_problem(answer: Any) -> dict[str, Any]:
    """Return the problem of an answer, whose words are for programs; {} if it is none."""
    if answer.status_code < 400:
        return {}
    problem: dict[str, Any] = answer.json()
    for sentence in [problem["detail"], *(fault["message"] for fault in problem["errors"])]:
        assert not OF_PAGES.search(sentence), (answer.request["PATH_INFO"], sentence)
    return problem


@pytest.mark.django_db
def test_wrong_values_of_every_field_of_every_body_are_answered_for_programs(call):
    refused = 0
    for method, path, schema in bodies():
        for field in [*schema["properties"], "no_such_field"]:
            for value in WRONG:
                body = json.dumps({field: value})
                problem = read_problem(call(method, path, data=body, content_type="application/json"))
                refused += bool(problem)
                known_fields = {*schema["properties"], "no_such_field", "non_field_errors"}
                named = {fault["field"].partition(".")[0] for fault in problem.get("errors", [])}
                assert named <= known_fields | {""}, (method, path, body, problem)
    assert refused > 300


@pytest.mark.django_db
def test_every_operation_answers_what_it_can_not_do_for_programs(call):
    for path, methods in api_schema.document()["paths"].items():
        if path.startswith("/api/v1/"):
            for method in methods:
                read_problem(call(method, path, data="{}", content_type="application/json"))
                read_problem(call(method, path, data="[", content_type="application/json"))
                read_problem(call(method, path, data="x=1", content_type="text/plain"))
                read_problem(call(method, f"{path}?limit=0&cursor=x&start=x&no_such=1"))
