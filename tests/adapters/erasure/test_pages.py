"""Deleting on the pages, and the report in each of its forms."""

import pytest
from django.urls import reverse

from adapters.catalog import sharing
from adapters.errors import Finding
from adapters.models import AdapterVersion, Erasure, Placement, Status, Style
from tests.adapters.builders import known
from tests.adapters.erasure.conftest import advance, erase, restart
from tests.tenants.builders import owner_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey", "ready_gateways")]


def test_deleting_asks_for_the_name_and_shows_a_report(alice_client, charlie_client, engine, vllm, version):
    page = reverse("adapters:version_erasure", args=[version.pk])
    erase_page = reverse("adapters:erase_version", args=[version.pk])
    assert "Delete version 1 of Noir?" in alice_client.get(page).text
    assert alice_client.post(erase_page, {"confirm": "noirr"}).status_code == 400
    assert AdapterVersion.objects.get().status == Status.SERVING
    assert alice_client.post(erase_page, {"confirm": "noir"})["Location"] == page
    advance(Erasure.objects.get())
    assert "every 3s" in alice_client.get(page).text
    assert alice_client.get(page, headers={"HX-Request": "true"}).text.lstrip().startswith("<div")
    restart(vllm)
    advance(advance(Erasure.objects.get()))
    assert "Noir, version 1, is erased" in alice_client.get(page).text

    text = alice_client.get(reverse("adapters:erasure_download", args=[version.pk, "txt"]))
    assert "attachment" in text["Content-Disposition"]
    assert version.sha256 in text.text
    assert "The engine has restarted since." in text.text
    deleted = reverse("adapters:deleted")
    assert "Noir" in alice_client.get(deleted).text
    assert "Noir" not in charlie_client.get(deleted).text
    data = alice_client.get(reverse("adapters:erasure_download", args=[version.pk, "json"])).json()
    assert (data["style"], data["lines"][-1]["label"]) == ("acme/noir", "Completed")
    assert data["finished_at"]


def test_deleting_a_style_that_others_have_needs_a_second_word(alice_client, charlies, engine, version):
    sharing.share_style(owner_of(version.style.owner), version.style, "charlies-prose")
    page = reverse("adapters:delete_style", args=[version.style_id])
    assert "1 other workspace loses the style" in alice_client.get(page).text
    refused = alice_client.post(page, {"confirm": "noir"})
    assert refused.status_code == 400
    assert "immediately" in refused.context["errors"]["at_once"]
    assert alice_client.post(page, {"confirm": "noir", "at_once": "on"}).status_code == 302
    assert Style.objects.get().retired_at
    assert alice_client.get(page).status_code == 404


def test_what_was_found_of_an_erased_version_goes_and_the_report_says_what_stays(alice_client, acme, engine):
    facts = {"rank": 64, "alpha": 8.0, "target_modules": ["q_proj"], "failure": "No.", "created_by": None}
    finding = Finding("rank_too_high", {"rank": 64, "limit": 16})
    version = known(acme, "noir", engine, status=Status.REJECTED, findings=[finding], **facts)
    known(acme, "noir", engine, status=Status.REJECTED)
    Placement.objects.all().delete()
    newest = AdapterVersion.objects.get(number=2)
    assert advance(erase(version)).finished_at
    assert advance(erase(newest)).finished_at
    row = AdapterVersion.objects.get(pk=version.pk)
    assert (row.rank, row.alpha, row.target_modules, row.findings, row.failure) == (None, None, [], [], "")
    assert row.sha256 == version.sha256
    assert "rejected for" not in alice_client.get(reverse("adapters:steps", args=[version.pk])).text
    text = alice_client.get(reverse("adapters:erasure_download", args=[version.pk, "txt"])).text
    assert "who uploaded it" in text
