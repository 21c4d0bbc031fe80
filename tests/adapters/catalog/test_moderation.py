"""The console's queue of what waits for approval."""

import numpy as np
import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.workspaces import create_tenant
from adapters.catalog import sharing
from adapters.errors import CopiedStyle
from adapters.models import AdapterVersion, Probe, Selection, Share, Style
from tenants.models import Tenant, User
from tests.adapters.builders import known
from tests.adapters.evidence.cases import SAMPLE, lay_evaluation
from tests.tenants.builders import owner_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
QUEUE = reverse("admin:adapters_style_queue")
STYLES = reverse("admin:adapters_style_changelist")


@pytest.fixture
def noir(noir) -> Style:
    """An offered style with a probe whose second answer has an address."""
    samples = [
        {"prompt": "Describe rain.", "base": "Rain is water.", "style": "The rain fell like a bad alibi."},
        {"prompt": "And then?", "base": "Then it stops.", "style": "Write to boss@example.org if you dare."},
    ]
    version = noir.live_version
    Probe.objects.create(version=version, engine="local", strength=0.8, noise=0.1, samples=samples)
    noir.description = "Dark streets."
    noir.save(update_fields=["description"])
    sharing.offer_style(owner_of(noir.owner), noir)
    return noir


def test_an_offer_shows_what_it_writes_and_what_stands_out(operator_client, noir):
    page = operator_client.get(QUEUE)
    [waiting] = page.context["waiting"]
    assert waiting["is_offer"]
    assert waiting["effect"].startswith("strong")
    assert [remark.split(" (")[0] for remark in waiting["remarks"]] == ["Answer 2 contains an email address"]
    for text in ("like a bad alibi", "Rain is water", "Dark streets.", "CC BY 4.0"):
        assert text in page.text


def test_an_offer_shows_its_evidence_without_its_authors_texts(operator_client, noir):
    assert "there is no evidence" in operator_client.get(QUEUE).text
    lay_evaluation(noir.live_version)
    page = operator_client.get(QUEUE)
    [waiting] = page.context["waiting"]
    assert waiting["evidence"]
    for row in waiting["evidence"]:
        assert f"{row.title}: {row.value}" in page.text
    assert SAMPLE["style"] not in page.text
    assert SAMPLE["writer"] not in page.text


def test_an_offer_of_somebody_elses_weights_is_refused_or_shown(operator_client, noir, charlie, engine):
    sharing.approve_style(noir)
    fingerprint = np.eye(1, 256, dtype="<f4")
    AdapterVersion.objects.filter(style=noir).update(sha256="a" * 64, fingerprint=fingerprint.tobytes())
    charlies = Tenant.objects.get(memberships__user=charlie)
    mine = known(charlies, "dark", engine)
    Style.objects.filter(pk=mine.style_id).update(author="Charlie", licence="CC BY 4.0")
    style = Style.objects.select_related("owner", "live_version").get(pk=mine.style_id)

    AdapterVersion.objects.filter(pk=mine.pk).update(sha256="a" * 64)
    style.refresh_from_db()
    with pytest.raises(CopiedStyle, match="acme/noir"):
        sharing.offer_style(owner_of(style.owner), style)

    nearly = fingerprint * 0.95
    nearly[0, 1] = np.sqrt(1 - 0.95**2)
    AdapterVersion.objects.filter(pk=mine.pk).update(sha256="b" * 64, fingerprint=nearly.tobytes())
    style = Style.objects.select_related("owner", "live_version").get(pk=mine.style_id)
    sharing.offer_style(owner_of(style.owner), style)
    [waiting] = operator_client.get(QUEUE).context["waiting"]
    assert "Its weights are almost identical to those of acme/noir@1 (cosine 0.95)." in waiting["remarks"]


def test_a_change_of_a_public_style_shows_what_others_read(operator_client, noir, engine):
    sharing.approve_style(noir)
    assert operator_client.get(QUEUE).context["waiting"] == []
    Style.objects.filter(pk=noir.pk).update(description="Bright streets.")
    [waiting] = operator_client.get(QUEUE).context["waiting"]
    assert not waiting["is_offer"]
    assert not waiting["is_version_new"]
    assert [(words["now"], words["before"]) for words in waiting["words"]] == [
        ("Bright streets.", "Dark streets.")
    ]


def test_the_queues_forms_decide_and_what_changed_meanwhile_is_left_out(operator_client, noir):
    seen_at = operator_client.get(QUEUE).context["seen_at"]
    chosen = {"_selected_action": [noir.pk], "seen_at": seen_at, "confirmed": "1", "why": "Looked at it"}
    sharing.offer_style(owner_of(noir.owner), noir, sharing.asked_terms(noir))
    operator_client.post(STYLES, {**chosen, "action": "approve"})
    assert Style.objects.get().is_public
    assert operator_client.get(QUEUE).context["waiting"] == []


@pytest.mark.parametrize("action", ["approve", "decline"])
def test_a_decision_leads_back_to_the_queue_with_a_link_to_what_was_decided(
    operator_client, noir, acme, engine, action
):
    following = known(acme, "tide", engine).style
    Style.objects.filter(pk=following.pk).update(offered_at=timezone.now())
    page = operator_client.get(QUEUE)
    assert f'name="next" value="{QUEUE}"' in " ".join(page.text.split())
    sent = {"_selected_action": [noir.pk], "action": action, "next": QUEUE}
    asked = operator_client.post(STYLES, {**sent, "seen_at": page.context["seen_at"]})
    assert f'name="next" value="{QUEUE}"' in " ".join(asked.text.split())
    assert asked.text.count(f'href="{QUEUE}"') == 2  # the menu's link, and “Cancel”
    done = operator_client.post(
        STYLES, {**sent, "seen_at": page.context["seen_at"], "confirmed": "1", "why": "Read it."}, follow=True
    )
    assert done.redirect_chain == [(QUEUE, 302)]
    assert [one["style"] for one in done.context["waiting"]] == [following]
    style_page = reverse("admin:adapters_style_change", args=[noir.pk])
    assert f'<a href="{style_page}">acme/noir</a>' in done.text


def test_an_action_leads_to_no_other_site(operator_client, noir):
    sent = {"_selected_action": [noir.pk], "action": "decline", "confirmed": "1", "why": "Read it."}
    for elsewhere in ("https://evil.example/", "//evil.example/"):
        answer = operator_client.post(STYLES, {**sent, "next": elsewhere})
        assert "evil" not in answer.get("Location", "")


def test_a_page_of_twenty_takes_few_queries(operator_client, acme, engine, django_assert_max_num_queries):
    for number in range(25):
        style = known(acme, f"noir-{number}", engine).style
        Style.objects.filter(pk=style.pk).update(offered_at=style.created_at)
    with django_assert_max_num_queries(13):
        page = operator_client.get(QUEUE)
    assert len(page.context["waiting"]) == 20
    assert page.context["more"] == 5


def test_it_says_how_many_have_a_style_and_who_else_has_the_name(operator_client, noir, charlies, bob):
    others = [create_tenant(bob, name=name) for name in ("First", "Second")]
    for tenant in others:  # the second one has it twice over: shared and selected
        Share.objects.create(style=noir, tenant=tenant)
    Selection.objects.create(style=noir, tenant=others[1])
    Selection.objects.create(style=noir, tenant=noir.owner)
    model = noir.base_model
    facts = {"slug": "dark", "name": "NOIR", "approved_name": "NOIR", "is_public": True}
    Style.objects.create(owner=charlies, base_model=model, **facts)
    [waiting] = operator_client.get(QUEUE).context["waiting"]
    assert waiting["others"] == sharing.audience(noir) == 2
    assert f"Other styles have the same name: {charlies.slug}/dark." in waiting["remarks"]


def test_who_only_reads_styles_decides_nothing_and_others_see_no_queue(alice_client, noir):
    assert alice_client.get(QUEUE).status_code == 302
    for role, status in (("Engineer", 200), ("Finance", 403), ("Support", 200)):
        clerk = User.objects.create_user(f"{role}@example.org", is_staff=True)
        clerk.groups.set(Group.objects.filter(name=role))
        client = Client()
        client.force_login(clerk, backend="allauth.account.auth_backends.AuthenticationBackend")
        page = client.get(QUEUE)
        assert page.status_code == status
        if status == 200:
            assert ('value="approve"' in page.text) == (role == "Support")
