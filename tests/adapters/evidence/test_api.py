"""Evaluations and checks of drafts in the API: figures for all who may use a style, texts for few."""

import pytest
from django.urls import reverse

from adapters.catalog import sharing
from adapters.models import AdapterVersion, Style
from tests.adapters.builders import known
from tests.adapters.evidence.cases import DRAFT, FIGURES, LOW, PASSAGE, lay_evaluation
from tests.tenants.builders import issue_key, owner_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture
def version(acme, engine) -> AdapterVersion:
    return known(acme, "letters", engine)


def call(client, tenant, name: str, *scopes: str, body: object = None):
    _, secret = issue_key(tenant, name=" ".join(scopes), by=None, scopes=list(scopes))
    number = {} if name == "styles.check_draft" else {"number": 1}
    address = reverse(f"api:{name}", kwargs={"style": "acme/letters", **number})
    headers = {"Authorization": f"Bearer {secret}"}
    if body is None:
        return client.get(address, headers=headers)
    return client.post(address, body, content_type="application/json", headers=headers)


def test_texts_are_for_the_owners_keys_that_may_change_styles(alice, client, acme, charlies, version):
    assert call(client, acme, "versions.evaluation", "styles:read").json()["code"] == "no_evaluation"
    lay_evaluation(version, LOW)
    read = call(client, acme, "versions.evaluation", "styles:read").json()
    assert read["figures"]["repeats"]["percent"] == 4.5
    assert read["figures"]["learned"]["own_percent"] < 0
    assert read["figures"]["rewrites"] is None
    assert (read["samples"], read["passages"]) == (None, None)
    written = call(client, acme, "versions.evaluation", "styles:read", "styles:write").json()
    assert written["passages"] == [PASSAGE]
    assert call(client, charlies, "versions.evaluation", "styles:read", "styles:write").status_code == 404
    lay_evaluation(version, FIGURES)
    sharing.share_style(
        owner_of(version.style.owner, alice), Style.objects.get(pk=version.style_id), charlies.slug
    )
    seen = call(client, charlies, "versions.evaluation", "styles:read", "styles:write").json()
    assert seen["figures"]["voice"]["recognized"] == 13
    assert seen["figures"]["rewrites"] == FIGURES["rewrites"]
    assert (seen["samples"], seen["passages"]) == (None, None)


def test_a_draft_is_checked_for_the_owner_alone(client, acme, charlies, version, verifies):
    body = {"text": DRAFT}
    assert call(client, acme, "styles.check_draft", "styles:read", body=body).json()["code"] == "no_verifier"
    lay_evaluation(version, verifier=b"numbers")
    answer = call(client, acme, "styles.check_draft", "styles:read", body=body).json()
    assert (answer["model"], answer["percent"]) == ("acme/letters@1", 50)
    farthest = answer["farthest"][0]
    assert DRAFT[farthest["start"] : farthest["end"]] == farthest["text"] == "Leveraging synergies is key."
    short = call(client, acme, "styles.check_draft", "styles:read", body={"text": "Too short."})
    assert short.json()["code"] == "draft_too_short"
    assert call(client, charlies, "styles.check_draft", "styles:read", body=body).status_code == 404
    assert call(client, acme, "styles.check_draft", "inference", body=body).status_code == 403
