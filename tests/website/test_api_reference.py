"""The page of the API reference: what Redoc needs, and no more, is allowed on it alone."""

import json
import shlex

import pytest
from django.contrib.staticfiles import finders
from django.urls import reverse

from website import api_schema


def policy_of(answer) -> dict[str, list[str]]:
    directives = answer.headers["Content-Security-Policy"].split("; ")
    return {name: sources for name, *sources in map(str.split, directives)}


def test_it_runs_no_code_but_ours_and_loads_nothing_from_elsewhere(client):
    policy = policy_of(client.get(reverse("api_reference")))
    assert policy["script-src"] == ["'self'"]
    assert "'unsafe-inline'" not in policy["style-src"]
    assert not [
        source
        for sources in policy.values()
        for source in sources
        if ":" in source and source not in ("data:", "blob:")
    ]
    assert "worker-src" not in policy_of(client.get(reverse("healthz")))


def test_redoc_comes_with_the_installation(client):
    assert finders.find(api_schema.REDOC)
    assert f"/static/{api_schema.REDOC}" in client.get(reverse("api_reference")).text


@pytest.mark.parametrize("group", ["keys", "billing"])
def test_pages_of_groups_lead_to_the_reference(client, group):
    answer = client.get(f"{reverse('api_reference')}{group}/")
    assert (answer.status_code, answer.headers["Location"]) == (
        302,
        f"{reverse('api_reference')}#tag/{group}",
    )


def test_each_operation_has_a_command_that_sends_its_example():
    for path, methods in api_schema.document()["paths"].items():
        for operation in methods.values():
            words = shlex.split(operation["x-codeSamples"][0]["source"].replace("\\\n", ""))
            assert words[0] == "curl"
            assert any(word.endswith(path) for word in words)
            if "-d" in words:
                json.loads(words[words.index("-d") + 1])
