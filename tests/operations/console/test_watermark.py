"""The console's page of the watermark: what answers say, and which engines have no key."""

from django.urls import reverse

from metering.ledger import record_events
from tests.tenants.builders import make_event

WATERMARK = reverse("admin:watermark")


def test_it_counts_what_the_newest_answers_say(operator_client, acme, settings):
    settings.WATERMARK, settings.WATERMARK_KEYS = "on", {3: 0xAA}
    words = ["gumbel; epoch=3"] * 3 + ["none; reason=engine"]
    record_events([make_event(acme, watermark=word) for word in words])
    page = operator_client.get(WATERMARK)
    figures = {figure.name: figure.value for figure in page.context["figures"]}
    assert (figures["Marked answers"], figures["Watermark keys"]) == ("75.0%", "3")
    said = [(row.watermark, row.answers, row.is_fault) for row in page.context["rows"]]
    assert said == [("gumbel; epoch=3", 3, False), ("none; reason=engine", 1, True)]


def test_it_counts_who_turned_it_off(operator_client, acme):
    acme.is_watermarked = False
    acme.save()
    figures = {figure.name: figure for figure in operator_client.get(WATERMARK).context["figures"]}
    assert figures["Workspaces"].value == "1"
    listed = operator_client.get(figures["Workspaces"].address)
    assert acme.name in listed.text
