"""Private by default; offered to everybody or shared with a workspace; taken back with notice.

Alice owns Acme, which owns the style; Bob is her teammate; Charlie and Dora have workspaces of their own.
"""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from adapters import tasks
from adapters.catalog import queries, selection, sharing
from adapters.errors import NoSuchWorkspace, ShortNameNeeded, StyleNotFound
from adapters.models import Share, Style
from core.messages import Message
from core.valkey import client
from tenants.models import AuditEntry, Tenant
from tests.adapters.builders import others_styles, published_targets
from tests.adapters.routes import routes_of
from tests.tenants.builders import owner_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]

MODEL = "acme/noir"
SURE = {"confirmed": "1", "why": "A test asks for it."}


def page_of(style: Style, name: str = "style") -> str:
    return reverse(f"adapters:{name}", args=[style.owner.slug, style.slug])


def action_url(style: Style, name: str) -> str:
    return reverse("adapters:offer", args=[style.pk, name])


def is_routed(tenant: Tenant) -> bool:
    """Return whether the data plane answers the tenant in that style."""
    return MODEL in published_targets(client(), tenant)


def time_passes() -> None:
    """Let every notice be over."""
    ago = timezone.now() - timedelta(seconds=1)
    Share.objects.exclude(ends_at=None).update(ends_at=ago)
    Style.objects.exclude(public_until=None).update(public_until=ago)


def test_a_shared_style_is_selected_and_used_by_its_receiver_only(
    alice_client, charlie_client, noir, charlies, doras
):
    shared = alice_client.post(reverse("adapters:share", args=[noir.pk]), {"workspace": "charlies-prose"})
    assert shared["Location"] == page_of(noir, "style_sharing")
    card = charlie_client.get(reverse("adapters:catalogue")).context["styles"]
    assert [style.model_name for style in card] == [MODEL]
    page = charlie_client.get(page_of(noir))
    assert "CC BY 4.0" in page.text
    assert "shares" not in page.context
    assert MODEL not in routes_of(charlies.pk)

    assert charlie_client.post(reverse("adapters:select", args=[noir.pk])).status_code == 302
    assert is_routed(charlies)
    assert MODEL not in routes_of(doras.pk)
    with pytest.raises(StyleNotFound):
        selection.select_style(owner_of(doras), noir)


def test_a_share_is_taken_back_with_notice_and_ends_when_that_is_over(
    alice_client, charlie_client, noir, charlies
):
    share = sharing.share_style(owner_of(noir.owner), noir, "charlies-prose")
    selection.select_style(owner_of(charlies), noir)
    alice_client.post(reverse("adapters:change_share", args=[share.pk, "revoke"]))
    share.refresh_from_db()
    assert timedelta(days=6) < share.ends_at - timezone.now() <= sharing.NOTICE
    for page in (page_of(noir), reverse("adapters:catalogue")):
        assert "Acme stops sharing this style" in charlie_client.get(page).text
    assert is_routed(charlies)

    alice_client.post(reverse("adapters:change_share", args=[share.pk, "keep"]))
    assert "stops sharing this style" not in charlie_client.get(page_of(noir)).text
    sharing.revoke_share(owner_of(share.style.owner), share)
    time_passes()
    assert charlie_client.get(page_of(noir)).status_code == 404  # also before beat has come by
    assert MODEL not in routes_of(charlies.pk)
    tasks.end_sharing()
    assert not is_routed(charlies)
    assert not Share.objects.exists()
    assert alice_client.post(reverse("adapters:change_share", args=[share.pk, "keep"])).status_code == 404


@pytest.mark.parametrize("had", ["shared", "public"])
def test_a_selection_that_lost_its_style_works_again_once_it_is_shared(noir, charlies, had):
    owner = owner_of(noir.owner)
    share = (
        sharing.share_style(owner, noir, "charlies-prose") if had == "shared" else sharing.set_public(noir)
    )
    selection.select_style(owner_of(charlies), noir)
    assert is_routed(charlies)
    sharing.end_share(share) if share else sharing.set_public(noir, public=False)
    assert not is_routed(charlies)
    sharing.share_style(owner_of(noir.owner), noir, "charlies-prose")
    assert queries.card(charlies, noir).is_selected
    assert is_routed(charlies)


def test_revoking_twice_does_not_lengthen_the_notice(alice_client, noir, charlies):
    share = sharing.share_style(owner_of(noir.owner), noir, "charlies-prose")
    sharing.set_public(noir)
    revoke = reverse("adapters:change_share", args=[share.pk, "revoke"])
    for address in (revoke, action_url(noir, "take-back")):
        alice_client.post(address)
    first = timezone.now() + timedelta(days=2)
    Share.objects.update(ends_at=first)
    Style.objects.update(public_until=first)
    assert f"loses access on {first:%-d %B}." in alice_client.post(revoke, follow=True).text
    again = alice_client.post(action_url(noir, "take-back"), follow=True)
    assert f"leaves the catalogue on {first:%-d %B}." in again.text
    time_passes()
    assert "has already ended" in alice_client.post(revoke, follow=True).text


def test_a_style_under_notice_can_not_be_selected(noir, charlies, charlie_client):
    owner = owner_of(noir.owner)
    sharing.revoke_share(owner, sharing.share_style(owner, noir, "charlies-prose"))
    assert charlie_client.post(reverse("adapters:select", args=[noir.pk])).status_code == 404
    assert "no longer be selected" in charlie_client.get(page_of(noir)).text


def test_a_workspace_may_leave_a_share(charlie_client, noir, charlies):
    sharing.share_style(owner_of(noir.owner), noir, "charlies-prose")
    selection.select_style(owner_of(charlies), noir)
    charlie_client.post(reverse("adapters:leave", args=[noir.pk]))
    assert charlie_client.get(page_of(noir)).status_code == 404
    assert not is_routed(charlies)


def test_a_wrong_workspace_is_named_beside_the_field(alice_client, noir, charlies):
    sharing.share_style(owner_of(noir.owner), noir, "charlies-prose")
    for workspace, sentence in {
        "nobody": "No such workspace: “nobody”",
        "acme": "This is your own workspace",
        "charlies-prose": "already has this style",
        "No Body!": "No such workspace: “No Body!”",
        "": "required",
    }.items():
        page = alice_client.post(reverse("adapters:share", args=[noir.pk]), {"workspace": workspace})
        assert page.status_code == 400
        assert sentence in str(page.context["share_form"].errors["workspace"])
    assert Share.objects.count() == 1


def test_a_name_that_people_read_is_confirmed_by_the_short_name_unless_two_workspaces_have_it(
    alice_client, noir, charlies
):
    address = reverse("adapters:share", args=[noir.pk])
    Tenant.objects.filter(pk=charlies.pk).update(name="Charlie's Prose ".ljust(80, "x"))
    charlies.refresh_from_db()
    Tenant.objects.create(slug="other", name=charlies.name)
    page = alice_client.post(address, {"workspace": charlies.name})
    assert "No such workspace" in str(page.context["share_form"].errors["workspace"])
    Tenant.objects.filter(slug="other").delete()
    page = alice_client.post(address, {"workspace": charlies.name.upper()})
    assert page.status_code == 400
    assert "has the short name “charlies-prose”" in str(page.context["share_form"].errors["workspace"])
    assert not Share.objects.exists(), "anybody can take a name"
    filled_in = page.context["share_form"]["workspace"].value()
    page = alice_client.post(address, {"workspace": filled_in}, follow=True)
    assert "(charlies-prose) can now select Noir" in page.text
    assert Share.objects.get().tenant == charlies


def test_a_deleted_workspace_receives_nothing_and_its_short_name_may_be_anothers_name(noir, charlies, doras):
    Tenant.objects.filter(pk=charlies.pk).update(deleted_at=timezone.now())
    with pytest.raises(NoSuchWorkspace):
        sharing.share_style(owner_of(noir.owner), noir, charlies.slug)
    Tenant.objects.filter(pk=doras.pk).update(name=charlies.slug)
    with pytest.raises(ShortNameNeeded):
        sharing.share_style(owner_of(noir.owner), noir, charlies.slug)


def test_why_an_offer_is_refused_stands_below_its_button(alice_client, noir):
    refused = "Version 1 repeats its texts."
    noir.versions.update(share_refusal=Message.of(refused))
    page = alice_client.post(action_url(noir, "offer"), {}).text
    assert page.index("Offer to catalogue</button>") < page.index(
        refused, page.index("Offer to catalogue</button>")
    )


def test_an_offer_needs_terms_waits_is_declined_and_approved(alice_client, operator_client, noir, charlies):
    Style.objects.update(licence="")
    assert "add an author and a licence" in alice_client.post(action_url(noir, "offer"), follow=True).text
    Style.objects.update(licence="CC BY 4.0")
    assert "Pending approval" in alice_client.post(action_url(noir, "offer"), follow=True).text
    assert not Style.objects.visible_to(charlies.pk).exists()

    offers = reverse("admin:adapters_style_changelist")
    assert "Noir" in operator_client.get(offers, {"offer": "waits"}).text
    decline = {"action": "decline", "_selected_action": [noir.pk], "confirmed": "1", "why": "It swears."}
    operator_client.post(offers, {**decline, "why": ""})
    assert Style.objects.get().offered_at
    operator_client.post(offers, decline)
    assert "It swears." in alice_client.get(page_of(noir, "style_sharing")).text

    operator_client.post(offers, {"action": "approve", "_selected_action": [noir.pk], **SURE})
    assert not Style.objects.get().is_public  # it is not offered any more
    alice_client.post(action_url(noir, "offer"))
    alice_client.post(action_url(noir, "withdraw"))
    alice_client.post(action_url(noir, "offer"))
    operator_client.post(offers, {"action": "approve", "_selected_action": [noir.pk], **SURE})
    assert "Public since" in alice_client.get(page_of(noir, "style_sharing")).text
    selection.select_style(owner_of(charlies), noir)
    assert is_routed(charlies)


def test_a_public_style_leaves_with_notice_for_those_who_have_it_and_at_once_for_the_others(
    alice_client, charlie_client, noir, charlies, doras
):
    sharing.set_public(noir)
    selection.select_style(owner_of(charlies), noir)
    assert (
        "has already ended or been answered" in alice_client.post(action_url(noir, "offer"), follow=True).text
    )
    alice_client.post(action_url(noir, "take-back"))
    assert "stops sharing this style" in charlie_client.get(reverse("adapters:catalogue")).text
    assert not others_styles(doras)
    with pytest.raises(StyleNotFound):
        selection.select_style(owner_of(doras), noir)
    alice_client.post(action_url(noir, "keep"))
    assert others_styles(doras)

    alice_client.post(action_url(noir, "take-back"))
    time_passes()
    assert not others_styles(charlies)
    tasks.end_sharing()
    assert not is_routed(charlies)
    assert Style.objects.get().is_public is False
    for late in ("keep", "take-back"):
        assert "has already ended" in alice_client.post(action_url(noir, late), follow=True).text


def test_a_style_that_is_shared_and_public_is_kept_until_both_end(noir, charlies):
    sharing.set_public(noir)
    sharing.take_back_style(owner_of(noir.owner), noir)
    share = sharing.share_style(owner_of(noir.owner), noir, "charlies-prose")
    assert queries.card(charlies, Style.objects.get()).ends_at is None
    sharing.revoke_share(owner_of(share.style.owner), share)
    share.refresh_from_db()
    assert queries.card(charlies, Style.objects.get()).ends_at == share.ends_at


def test_operators_take_a_style_from_everybody_at_once(alice_client, operator_client, noir, charlies, doras):
    sharing.set_public(noir)
    sharing.share_style(owner_of(noir.owner), noir, "charlies-prose")
    for tenant in (charlies, doras):
        selection.select_style(owner_of(tenant), noir)
    action = {"action": "take_out", "_selected_action": [noir.pk], "confirmed": "1"}
    action["why"] = "Somebody else's voice."
    operator_client.post(reverse("admin:adapters_style_changelist"), action)
    assert not is_routed(charlies)
    assert not is_routed(doras)
    assert MODEL in routes_of(noir.owner.pk)
    assert "Somebody else&#x27;s voice." in alice_client.get(page_of(noir, "style_sharing")).text

    shares = reverse("admin:adapters_share_changelist")
    share = sharing.share_style(owner_of(noir.owner), noir, "charlies-prose")
    assert operator_client.get(shares).status_code == 200
    operator_client.post(shares, {"action": "end_now", "_selected_action": [share.pk], **SURE})
    assert not Style.objects.visible_to(charlies.pk).exists()


def test_a_styles_words_are_edited_but_not_its_terms_while_others_rely_on_them(bob_client, noir):
    describe = reverse("adapters:describe", args=[noir.pk])
    texts = {"name": "Noir!", "description": "Rain.", "sample_prompt": "Describe rain.", "author": "Bob"}
    Style.objects.update(sample="It rained.")
    assert bob_client.post(describe, {**texts, "licence": "own", "terms": ""}).status_code == 400
    assert bob_client.post(describe, {**texts, "licence": "GPL"}).status_code == 400
    for field, odd in (("name", "N\u202eoir"), ("author", "Polyscribe"), ("description", "R\u2067ain")):
        assert bob_client.post(describe, {**texts, "licence": "", field: odd}).status_code == 400
    bob_client.post(describe, {**texts, "licence": "own", "terms": "Ask me first."})
    style = Style.objects.get()
    assert (style.name, style.author, style.licence) == ("Noir!", "Bob", "Ask me first.")
    assert style.sample == ""  # what answers another prompt is written anew
    edited = AuditEntry.objects.get(action="style.edited")  # only what is another text than before
    assert edited.before.keys() == {"name", "description", "sample_prompt", "author", "licence"}
    assert "Ask me first." in bob_client.get(page_of(noir)).text

    sharing.offer_style(owner_of(style.owner), style)
    bob_client.post(describe, {**texts, "author": "Eve", "licence": "CC0 1.0", "name": "Nuit"})
    style = Style.objects.get()
    assert (style.name, style.author, style.licence) == ("Nuit", "Bob", "Ask me first.")


def test_an_unknown_action_is_a_404(alice_client, noir, charlies):
    share = sharing.share_style(owner_of(noir.owner), noir, "charlies-prose")
    assert alice_client.post(action_url(noir, "approve")).status_code == 404
    assert alice_client.post(reverse("adapters:change_share", args=[share.pk, "end"])).status_code == 404


def test_an_operator_makes_a_style_public_by_hand_and_changes_nothing_else(operator_client, noir):
    address = reverse("admin:adapters_style_change", args=[noir.pk])
    texts = {"name": "Nuit", "author": "Alice", "licence": "CC BY 4.0", "is_public": "on", "why": "Good."}
    live = Style.objects.get().live_version
    inline = {f"versions-{name}": 0 for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    answer = operator_client.post(address, texts | inline | {"retired_at_0": "", "retired_at_1": ""})
    assert answer.status_code == 302, answer.context["errors"]
    style = Style.objects.get()
    assert (style.name, style.is_public, style.live_version) == ("Nuit", True, live)
    assert style.public_since


def test_a_style_that_is_kept_in_the_last_moment_stays(noir, charlies):
    """Beat may have read what is over just before its owner changed their mind."""
    share = sharing.share_style(owner_of(noir.owner), noir, "charlies-prose")
    sharing.revoke_share(owner_of(share.style.owner), share)
    time_passes()
    [read] = Share.objects.over()
    sharing.share_style(owner_of(noir.owner), noir, "charlies-prose")
    assert not sharing._end_if_over(read)
    assert Share.objects.get().ends_at is None
