"""Of a public style others get what operators approved: versions, words, canaries.

Alice owns Acme, whose style Noir is public; Charlie has selected it; Dora only looks at the catalogue.
"""

import pytest
from django.urls import reverse

from adapters.catalog import home_styles, queries, selection, sharing
from adapters.erasure import workflow
from adapters.errors import ChangedMeanwhile, NotOffered
from adapters.models import AdapterVersion, Placement, Probe, Status, Style
from adapters.placement import transitions
from adapters.public import model_choices
from adapters.releases import aliases
from adapters.routing import publisher
from core.valkey import client
from tenants.models import Tenant
from tests.adapters.builders import by, known, others_styles, published_routes, published_share
from tests.adapters.routes import routes_of
from tests.tenants.builders import owner_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]

MODEL = "acme/noir"
CONSOLE = "admin:adapters_style_changelist"


@pytest.fixture
def noir(noir, acme, charlies) -> Style:
    """A public style whose first version was approved, with a workspace that selected it."""
    noir.description, noir.sample_prompt = "Rain.", "Why?"
    noir.save(update_fields=["description", "sample_prompt"])
    sharing.offer_style(owner_of(noir.owner), noir)
    sharing.approve_style(noir)
    selection.select_style(owner_of(charlies), noir)
    publisher.publish_library(acme.pk)
    return Style.objects.select_related("owner").get(pk=noir.pk)


def next_version(style: Style, engine) -> AdapterVersion:
    """Return a second version that answers as soon as it serves."""
    return known(style.owner, style.slug, engine, auto_promote=True)


def published(tenant: Tenant) -> dict[str, int]:
    """Return what the data plane answers a tenant in: typed name → version."""
    routes = published_routes(client(), tenant)
    del routes["base"]
    return {name: route["version"] for name, route in routes.items()}


def seen(tenant: Tenant) -> tuple[str, str, int | None]:
    card = next(card for card in others_styles(tenant) if card.model_name == MODEL)
    return card.name, card.description, card.live_version.number if card.live_version else None


def test_a_new_version_answers_its_owner_at_once_and_others_once_it_is_approved(noir, engine, acme, charlies):
    both = {MODEL: 1, f"{MODEL}@live": 1, f"{MODEL}@1": 1}
    assert published(charlies) == both
    second = next_version(noir, engine)
    assert published(acme)[MODEL] == published(acme)["noir@2"] == 2
    assert published(charlies) == both
    assert routes_of(charlies.pk).keys() == {"base", *both}
    assert seen(charlies)[2] == 1
    assert [choice.model for choice in model_choices(charlies)] == [MODEL]
    assert [choice.model for choice in model_choices(acme)] == [MODEL, f"{MODEL}@2", f"{MODEL}@1"]
    sharing.approve_style(Style.objects.get())
    assert published(charlies) == {MODEL: 2, f"{MODEL}@live": 2, f"{MODEL}@1": 1, f"{MODEL}@2": 2}
    assert seen(charlies)[2] == 2
    second.refresh_from_db()
    assert second.approved_at


def test_rolling_back_to_an_approved_version_reaches_all_at_once(noir, engine, acme, charlies):
    next_version(noir, engine)
    sharing.approve_style(Style.objects.get())
    aliases.roll_back(by(), Style.objects.get())
    assert published(charlies)[MODEL] == published(acme)[MODEL] == 1
    third = next_version(noir, engine)
    assert (published(charlies)[MODEL], published(acme)[MODEL]) == (1, 3)
    aliases.promote(by(), AdapterVersion.objects.get(number=2))
    assert published(charlies)[MODEL] == published(acme)[MODEL] == 2
    assert third.approved_at is None


def test_who_has_an_approved_version_that_ends_gets_another_one_or_none(noir, engine, acme, charlies):
    next_version(noir, engine)
    sharing.approve_style(Style.objects.get())
    next_version(noir, engine)
    first, second, _ = AdapterVersion.objects.order_by("number")
    assert workflow.count_other_users(second) == 0
    transitions.retire_version(second)
    assert (published(charlies)[MODEL], published(acme)[MODEL]) == (1, 3)
    assert workflow.count_other_users(first) == 1
    transitions.retire_version(first)
    assert published(charlies) == {}
    assert published(acme)[MODEL] == 3
    assert not others_styles(charlies)[0].live_version


def test_a_canary_that_is_not_approved_takes_its_owners_requests_only(noir, engine, acme, charlies):
    second = known(acme, "noir", engine, auto_promote=False)
    aliases.begin_canary(by(), second, 10)
    assert published_share(client(), MODEL) == 10
    assert published_share(client(), MODEL, "others") is None
    assert f"{MODEL}@canary" in published(acme)
    assert f"{MODEL}@canary" not in published(charlies)
    sharing.approve_version(second)
    assert published_share(client(), MODEL, "others") == 10
    assert f"{MODEL}@canary" in published(charlies)
    assert published(charlies)[MODEL] == 1
    with pytest.raises(NotOffered):
        sharing.approve_version(second)


def test_words_change_for_others_once_they_are_approved(noir, alice_client, charlie_client, charlies, doras):
    texts = {"name": "Casino", "description": "Win money!", "sample_prompt": "Where?", "licence": ""}
    page = alice_client.post(reverse("adapters:describe", args=[noir.pk]), texts, follow=True).text
    assert "Others will see your changes once they&#x27;re approved." in page
    assert "Change pending approval" in page
    for tenant in (charlies, doras):
        assert seen(tenant)[:2] == ("Noir", "Rain.")
        assert not others_styles(tenant, "casino")
        assert others_styles(tenant, "rain")
    assert queries.style_choices(charlies, None, None)[0][1] == "Noir"
    there = reverse("adapters:style", args=["acme", "noir"])
    assert "Casino" not in charlie_client.get(there).text
    assert "Casino" in alice_client.get(there).text
    sharing.approve_style(Style.objects.get())
    assert seen(doras)[:2] == ("Casino", "Win money!")
    sharing_tab = reverse("adapters:style_sharing", args=["acme", "noir"])
    assert "Change pending approval" not in alice_client.get(sharing_tab).text


def test_programs_read_the_approved_description_too(noir, acme, charlies):
    def described(tenant: Tenant) -> str:
        return published_routes(client(), tenant)[MODEL]["about"]

    selection.describe_style(noir, description="Win money!")

    assert described(acme) == "Win money!"
    assert described(charlies) == "Rain."


def test_strangers_read_the_approved_sample_on_the_first_page(noir, engine):
    version = AdapterVersion.objects.get()
    rows = [{"prompt": "Why?", "base": "So.", "style": "It rained."}]
    Probe.objects.create(version=version, strength=1, noise=0, samples=rows)
    sharing.approve_style(Style.objects.get())
    selection.describe_style(Style.objects.get(), name="Casino", sample_prompt="Where?")
    [shown] = home_styles.public_styles()
    assert (shown.name, shown.sample, shown.sample_prompt) == ("Noir", "It rained.", "Why?")


def test_operators_see_what_waits_approve_or_decline_it(
    noir, engine, alice_client, operator_client, charlies
):
    offers = reverse(CONSOLE)

    def waits() -> bool:
        return "Noir" in operator_client.get(offers, {"offer": "waits"}).text

    assert not waits()
    next_version(noir, engine)
    assert waits()
    sharing.decline_offer(Style.objects.get(), "It swears.")
    assert not waits()
    page = alice_client.get(reverse("adapters:style_sharing", args=["acme", "noir"])).text
    assert "Reason from the operators: It swears." in page
    assert "Everyone else stays on version 1" in page
    assert published(charlies)[MODEL] == 1
    with pytest.raises(NotOffered):
        sharing.decline_offer(Style.objects.get(), "Twice.")
    selection.describe_style(Style.objects.get(), description="Softer.")
    assert waits()
    sharing.approve_style(Style.objects.get())
    assert not waits()
    assert published(charlies)[MODEL] == 2


def test_what_changed_after_an_operator_looked_is_not_approved(noir, engine, operator_client, charlies):
    selection.describe_style(noir, description="Harmless.")
    listed = operator_client.get(reverse(CONSOLE))
    seen_at = listed.context["action_form"]["seen_at"].value()
    assert f'name="seen_at" value="{seen_at}"' in listed.text
    selection.describe_style(noir, description="Win money!")
    with pytest.raises(ChangedMeanwhile):
        sharing.approve_style(Style.objects.get(), seen_at=Style.objects.get().created_at)
    action = {"action": "approve", "_selected_action": [noir.pk], "seen_at": seen_at}
    asked = operator_client.post(reverse(CONSOLE), action).text
    assert f'name="seen_at" value="{seen_at}"' in asked
    page = operator_client.post(reverse(CONSOLE), {**action, "confirmed": "1", "why": "Fine."}, follow=True)
    assert "Review it again" in page.text
    assert seen(charlies)[1] == "Rain."
    del action["seen_at"]
    operator_client.post(reverse(CONSOLE), {**action, "confirmed": "1", "why": "Fine."})
    assert seen(charlies)[1] == "Win money!"


def test_what_leaves_the_catalogue_is_not_approved_any_more(noir, engine):
    sharing.end_all_shares(noir, reason="Abuse.")
    style = Style.objects.get()
    assert (style.approved_version, style.approved_name) == (None, "")
    assert AdapterVersion.objects.get().approved_at is None


def test_a_style_that_is_shared_as_well_is_the_approved_one(noir, engine, charlies):
    sharing.share_style(owner_of(noir.owner), noir, "charlies-prose")
    next_version(noir, engine)
    assert published(charlies)[MODEL] == 1


def test_first_party_styles_need_no_approval(poetry, engine, charlies):
    selection.select_style(owner_of(charlies), poetry)
    newer = poetry.versions.create(number=2, status=Status.PUSHING)
    transitions.mark_loaded(Placement.objects.create(engine=engine, version=newer), newer.engine_name)
    assert published(charlies)["poetry"] == 2
    selection.describe_style(poetry, name="Verse")
    assert others_styles(charlies)[0].name == "Verse"
