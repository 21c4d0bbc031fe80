"""The OpenAPI document: complete, shown, and true for everybody who may or may not call.

`make fuzz-api` runs the same with more examples (API_EXAMPLES).
"""

import os
import re
from collections.abc import Iterator
from functools import cache
from typing import Any
from unittest.mock import MagicMock

import orjson
import pytest
import schemathesis
from django.conf import settings as django_settings
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.urls import URLPattern, URLResolver, get_resolver
from hypothesis import settings
from jsonschema import Draft202012Validator
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks

from adapters.models import BaseModel
from inference.contract.endpoints import FORMS
from metering.models import PlanVersion
from tenants.models import Scope
from tests.tenants.builders import issue_key
from website import api_schema

EXAMPLES = int(os.environ.get("API_EXAMPLES", "4"))
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.unsupported_method,
]
READS = [scope for scope in Scope.values if scope.endswith(":read")]
WITHOUT_KEY = {"/api/v1/logins", "/api/v1/logins/redeem"}
MEMBERS = [scope for scope in Scope.values if scope not in (Scope.ADMIN, Scope.MEMBERS_WRITE)]

get_site = cache(get_wsgi_application)


def site(environ, start_response):
    """The site, loaded for the first request: all its middleware takes half a second of every collection."""
    return get_site()(environ, start_response)


whole = schemathesis.openapi.from_dict(orjson.loads(orjson.dumps(api_schema.document())))
whole.app = site
# Each value of each parameter in turn is some fifty requests an operation: for `make fuzz-api` alone.
whole.config.phases.coverage.enabled = "API_EXAMPLES" in os.environ
FILES_AND_JOBS = "/v1/(files|fine_tuning|conversations|responses/)"
management = whole.include(path_regex=f"^(/api/v1/|{FILES_AND_JOBS})")


@pytest.fixture
def callers(acme, charlies, valkey, monkeypatch) -> Iterator[dict[str, dict[str, str]]]:
    """Return the headers of everybody: nobody, a stranger, and keys of Acme's from few rights to all."""
    # They would close the test's own connection, in the middle of its transaction.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    monkeypatch.setattr("training.openai_api.file_views.connection", MagicMock())
    BaseModel.objects.create(name=django_settings.BASE_MODEL, config={}, modules={})
    PlanVersion.objects.update(api_requests_per_minute=10**6)
    keys = {"viewer": (acme, READS), "member": (acme, MEMBERS), "owner": (acme, ["admin"])}
    keys["stranger"] = (charlies, ["admin"])
    headers: dict[str, dict[str, str]] = {"nobody": {}}
    for who, (tenant, scopes) in keys.items():
        _, secret = issue_key(tenant, name=f"fuzz {who}", by=None, scopes=scopes)
        headers[who] = {"Authorization": f"Bearer {secret}"}
    yield headers
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.django_db
@management.parametrize()
@settings(max_examples=EXAMPLES)
def test_every_answer_is_documented_and_none_fails(case, callers, acme):
    for who, headers in callers.items():
        case.headers = {**(case.headers or {}), **headers}
        if not headers:
            case.headers.pop("Authorization", None)
        response = case.call()
        case.validate_response(response, checks=CHECKS)
        if who == "nobody" and case.path not in WITHOUT_KEY:
            assert response.status_code in (401, 405, 404)
        if who == "stranger":
            assert str(acme.pk) not in response.text


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every operation with its method and path."""
    for path, methods in api_schema.document()["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def _component(reference: str) -> dict[str, Any]:
    return api_schema.document()["components"]["schemas"][reference.rpartition("/")[2]]


def _addresses(resolver: URLResolver, prefix: str = "/") -> Iterator[tuple[str, URLPattern]]:
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _addresses(entry, route)
        elif entry.name:
            yield route, entry


def test_every_address_of_the_api_is_in_the_document():
    documented = {re.sub(r"\{[^}]*\}", "{}", path) for path in api_schema.document()["paths"]}
    known = set()
    for route, _ in _addresses(get_resolver()):
        if re.match(f"/api/v1/|{FILES_AND_JOBS}", route):
            known.add(re.sub(r"<[^>]*>", "{}", route))
    assert known
    assert known <= documented


def test_the_data_plane_is_in_the_document_field_by_field():
    paths = api_schema.document()["paths"]
    for path, table in FORMS.items():
        body = paths[path]["post"]["requestBody"]["content"]["application/json"]
        schema = _component(body["schema"]["$ref"])
        served = {name for name, field in table.items() if field.fate == "served"}
        assert set(schema["properties"]) == served
        assert set(schema["required"]) <= served
    assert {"/v1/models", "/v1/key", "/v1/usage"} <= set(paths)


def test_every_operation_has_a_summary_an_example_and_its_errors():
    for where, operation in _operations():
        assert operation["summary"], where
        away = "529" if "/v1/messages" in where else "503"  # Anthropic's own status
        assert {"400", "401", "403", "404", "429", away} <= set(operation["responses"]), where
        bodies = [operation["requestBody"]] if operation.get("requestBody") else []
        bodies += [
            answer
            for status, answer in operation["responses"].items()
            if status < "300" and "content" in answer
        ]
        for body in bodies:
            content = body["content"].get("application/json")
            assert content is None or content.get("example") or content.get("examples"), where


def test_every_example_is_what_its_schema_says():
    document = api_schema.document()
    components = {"components": document["components"]}
    for where, operation in _operations():
        successes = [answer for status, answer in operation["responses"].items() if status < "300"]
        for told in [operation.get("requestBody") or {}, *successes]:
            content = told.get("content", {}).get("application/json", {})
            for example in content.get("examples", {}).values():
                faults = Draft202012Validator({**components, **content["schema"]}).iter_errors(
                    example["value"]
                )
                assert not [fault.message for fault in faults], where


def test_an_object_has_one_id_in_all_examples():
    examples = {}
    for _, operation in _operations():
        for answer in operation["responses"].values():
            content = answer.get("content", {}).get("application/json", {})
            examples[operation["operationId"]] = content.get("examples", {}).get("Answer", {}).get("value")
            if examples[operation["operationId"]]:
                break
    key = examples["keys.get"]["id"]
    assert examples["usage.events"]["data"][0]["key"] == examples["requests.list"]["data"][0]["key"] == key
    assert examples["workspace.audit_log"]["data"][0]["object_id"] == key
    assert examples["uploads.get"]["id"] == examples["erasures.get"]["id"] == examples["versions.get"]["id"]
    assert examples["uploads.get"]["style"] == examples["styles.get"]["id"]


def _nodes(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object of the document with where it stands, but not what examples hold."""
    if isinstance(node, dict):
        yield "/".join(path), node
        for name, inner in node.items():
            if name not in ("example", "examples"):
                yield from _nodes(inner, (*path, name))
    elif isinstance(node, list):
        for place, inner in enumerate(node):
            yield from _nodes(inner, (*path, str(place)))


def _schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    for where, node in _nodes(api_schema.document()):
        if not where.endswith("/properties") and ("type" in node or "enum" in node or "$ref" in node):
            yield where, node


def _parameters() -> Iterator[tuple[str, dict[str, Any]]]:
    for where, operation in _operations():
        for parameter in operation.get("parameters", []):
            yield f"{where} {parameter['name']}", parameter


def test_no_default_is_one_that_its_own_schema_forbids():
    components = {"components": api_schema.document()["components"]}
    for where, schema in _schemas():
        if "default" in schema:
            faults = Draft202012Validator({**components, **schema}).iter_errors(schema["default"])
            assert not [fault.message for fault in faults], where


def test_a_client_that_sends_the_defaults_of_parameters_sends_nothing_empty():
    for where, parameter in _parameters():
        assert parameter["schema"].get("default") != "", where


def test_every_parameter_says_what_it_is_and_how_far_it_goes():
    found = dict(_parameters())
    for where, parameter in found.items():
        assert parameter["description"], where
    limit = found["get /api/v1/styles limit"]["schema"]
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, 100, 20)
    name = found["post /api/v1/styles Idempotency-Key"]["schema"]
    assert (name["minLength"], name["maxLength"]) == (1, 255)


def test_bodies_of_the_management_api_have_no_unknown_fields():
    bodies = set()
    for where, operation in _operations():
        if " /api/v1/" in where and operation.get("requestBody"):
            bodies.add(operation["requestBody"]["content"]["application/json"]["schema"]["$ref"])
    assert bodies
    for name in bodies:
        assert _component(name)["additionalProperties"] is False, name
        for where, node in _nodes(_component(name)):
            inner = _component(node["$ref"]) if "$ref" in node else {}
            if inner.get("type") == "object":
                assert inner["additionalProperties"] is False, (name, where)


def test_objects_are_components_and_arrays_say_what_they_hold():
    for where, schema in _schemas():
        kind = schema.get("type")
        if kind == "array":
            assert "items" in schema, where
        if kind == "object" and "properties" in schema:
            assert re.match(r"components/schemas/\w+(/properties/.*)?$", where), where
        if kind == "object" and where.startswith("paths/"):
            raise AssertionError(f"{where} is not a component")


def test_every_tag_is_described_and_the_document_says_whose_it_is():
    document = api_schema.document()
    used = {tag for _, operation in _operations() for tag in operation["tags"]}
    assert used == {tag["name"] for tag in document["tags"]}
    assert all(tag["description"] for tag in document["tags"])
    assert document["info"]["contact"]["url"]
    assert document["info"]["license"]["identifier"] == "Apache-2.0"


def test_answers_are_described_as_they_are():
    paths = api_schema.document()["paths"]
    events = paths["/api/v1/uploads/{version_id}/events"]["get"]["responses"]["200"]
    assert list(events["content"]) == ["text/event-stream"]
    assert events["content"]["text/event-stream"]["examples"]
    assert "UploadObject" in events["description"]
    table = paths["/api/v1/usage/events"]["get"]["responses"]["200"]["content"]
    assert table["text/csv"]["schema"] == {"type": "string"}
    assert table["application/json"]["schema"] == {"$ref": "#/components/schemas/UsageEventObjectPage"}


def test_every_field_and_parameter_says_what_it_is():
    for name, schema in api_schema.document()["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            assert described.get("description"), f"{name}.{field}"


def test_a_summary_is_a_name_and_the_description_says_more():
    for _, operation in _operations():
        summary, description = operation["summary"], operation["description"]
        assert len(summary) <= 50, summary
        assert not set(summary) & set("`:;."), summary
        assert description.partition(" Requires ")[0] != f"{summary}.", summary
