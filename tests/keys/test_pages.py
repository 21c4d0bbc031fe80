"""The pages about API keys: what is shown once, whose keys and styles they offer, and what a form keeps."""

from collections.abc import Collection
from datetime import timedelta
from html import unescape
from uuid import UUID, uuid4

import pytest
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts import workspaces
from accounts.workspaces import playground_key
from adapters.catalog import queries
from adapters.catalog.selection import select_style
from adapters.models import BaseModel, Style
from core.money import NANO, usd
from keys import actions
from keys.forms import LimitsForm
from metering.forms import DollarsField
from metering.ledger import record_events
from tenants.models import ApiKey, Tenant, User
from tenants.models import keys as key_secrets
from tests.tenants.builders import issue_key, owner_of

KNOWN_STYLES = queries.style_choices
POETRY, LEGAL, CHARLIES_OWN = uuid4(), uuid4(), uuid4()


def list_styles(tenant: Tenant, among: Collection[UUID] | None, most: int | None) -> list:
    """What the adapters' floor says of Acme's and Charlie's styles."""
    styles = [(CHARLIES_OWN, "Secret", "charlies-prose/secret")]
    if tenant.slug == "acme":
        styles = [(LEGAL, "Legal", "legal"), (POETRY, "Poetry", "poetry")]
    return [style for style in styles if among is None or style[0] in among][:most]


@pytest.fixture(autouse=True)
def _styles(monkeypatch):
    monkeypatch.setattr(queries, "style_choices", list_styles)


@pytest.fixture
def key(acme, alice) -> ApiKey:
    return issue_key(acme, name="laptop", by=alice)[0]


def test_members_see_their_tenants_keys_and_others_dont(bob_client, charlie_client, key):
    page = bob_client.get(reverse("keys:keys"))
    assert list(page.context["keys"]) == [key]
    assert f"{key.prefix}…{key.last4}" in page.text
    assert key.last4 not in charlie_client.get(reverse("keys:keys")).text


def test_a_secret_is_shown_once_and_its_key_has_the_limits_that_were_chosen(bob_client, bob):
    facts = {
        "name": "bot",
        "lifetime_days": "30",
        "monthly_tokens": "5000",
        "monthly_nanousd": "12.345678901",
        "requests_per_minute": "10",
        "tokens_per_minute": "7000",
        "parallel_requests": "1",
        "styles": [str(POETRY), str(LEGAL)],
        "scopes": ["inference", "styles:read"],
    }
    page = bob_client.post(reverse("keys:issue_key"), facts)
    secret = page.context["secret"]
    key = ApiKey.objects.shown().get()
    assert secret in page.text
    assert "no-store" in page["Cache-Control"]
    assert (key.digest, key.created_by) == (key_secrets.digest_key(secret), bob)
    assert key.scopes == ["inference", "styles:read"]
    assert round((key.expires_at - key.created_at).total_seconds() / 86400) == 30
    assert key.own_limits == [
        "$12.345678901 per month",
        "5,000 tokens per month",
        "10 requests per minute",
        "7,000 tokens per minute",
        "1 concurrent request",
        "2 styles only",
    ]
    assert all(words in page.text for words in key.own_limits)
    assert secret not in bob_client.get(reverse("keys:keys")).text


@given(st.integers(1, 9_000_000 * NANO))
def test_dollars_are_exact_both_ways(nanousd):
    field = DollarsField()
    assert field.clean(field.prepare_value(nanousd)) == nanousd


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("0", "A budget must be more than $0"),
        ("-3", "A budget must be more than $0"),
        ("9000001", "at most $9,000,000"),
        ("0.0000000001", "at most nine decimal places"),
        ("twelve", "such as 25 or 12.50"),
        ("NaN", "such as 25 or 12.50"),
        ("1e999", "at most $9,000,000"),
    ],
)
def test_an_amount_that_cant_be_is_refused_in_words(acme, written, said):
    assert said in str(LimitsForm({"monthly_nanousd": written}, tenant=acme).errors["monthly_nanousd"])


def test_a_keys_limits_are_changed_shown_and_taken_away(alice_client, key):
    address = reverse("keys:limit_key", args=[key.pk])
    assert alice_client.get(address).status_code == 200
    facts = {"monthly_nanousd": "0.5", "parallel_requests": "3", "styles": [str(LEGAL)]}
    assert alice_client.post(address, facts).status_code == 302
    key.refresh_from_db()
    assert (key.monthly_nanousd, key.parallel_requests, key.styles) == (500_000_000, 3, [LEGAL])
    page = alice_client.get(address)
    assert 'value="0.50"' in page.text
    assert page.context["form"]["styles"].value() == [LEGAL]
    assert "1 style only" in alice_client.get(reverse("keys:keys")).text
    alice_client.post(address, {})
    key.refresh_from_db()
    assert key.own_limits == []


@pytest.mark.parametrize(
    "style", [str(CHARLIES_OWN), str(uuid4()), "poetry"], ids=["Charlie's", "unknown", "a name"]
)
def test_a_key_is_bound_only_to_styles_that_its_tenant_may_use(alice_client, acme, key, style):
    facts = {"name": "bot", "styles": [str(POETRY), style]}
    for address in (reverse("keys:issue_key"), reverse("keys:limit_key", args=[key.pk])):
        page = alice_client.post(address, facts)
        assert page.status_code == 400
        assert "Choose from the styles below" in page.text
        assert "Secret" not in page.text
    assert ApiKey.objects.shown().get().styles is None


def test_the_styles_to_choose_are_own_ones_and_selected_public_ones(acme, charlies, monkeypatch):
    monkeypatch.setattr(queries, "style_choices", KNOWN_STYLES)
    base = BaseModel.objects.create(name="base", config={}, modules={})
    own, secret, public = (
        Style.objects.create(owner=owner, slug=slug, name=slug, base_model=base, is_public=slug == "public")
        for owner, slug in ((acme, "own"), (charlies, "secret"), (charlies, "public"))
    )
    offered = lambda: [pk for pk, _ in LimitsForm(tenant=acme).fields["styles"].choices]  # noqa: E731
    assert offered() == [str(own.pk)]
    select_style(owner_of(acme), public)
    assert offered() == [str(own.pk), str(public.pk)]
    assert LimitsForm({"styles": [str(secret.pk)]}, tenant=acme).errors.keys() == {"styles"}


def test_a_style_that_went_away_keeps_its_key_bound(alice_client, acme, key):
    """Without its tick, saving another limit would open the key to every style."""
    gone = uuid4()
    ApiKey.objects.filter(pk=key.pk).update(styles=[gone])
    address = reverse("keys:limit_key", args=[key.pk])
    form = alice_client.get(address).context["form"]
    assert form["styles"].value() == [gone]
    assert str(gone) in str(form["styles"])
    alice_client.post(address, {"parallel_requests": "2", "styles": [str(gone)]})
    key.refresh_from_db()
    assert (key.styles, key.parallel_requests) == ([gone], 2)


def test_only_a_key_in_use_has_limits_to_change_and_the_studios_has_none(alice_client, acme, key):
    over, _ = issue_key(acme, name="over", by=None, expires_at=timezone.now() - timedelta(seconds=1))
    studio = playground_key(acme)
    actions.revoke_by_operator(key)
    for one in (key, over, studio):
        assert alice_client.get(reverse("keys:limit_key", args=[one.pk])).status_code == 404
    revoke = reverse("keys:revoke_key", args=[studio.pk])
    assert alice_client.post(revoke, {"name": studio.name}).status_code == 404


@pytest.mark.parametrize(
    "facts",
    [
        {"name": ""},
        {"name": "laptop"},
        {"name": "x", "monthly_tokens": "-1"},
        {"name": "x", "scopes": ["admin", "no such"]},
        {"name": "x", "monthly_nanousd": "twelve"},
    ],
)
def test_a_wrong_form_makes_no_key_and_loses_nothing(alice_client, key, facts):
    page = alice_client.post(reverse("keys:issue_key"), facts)
    assert page.status_code == 400
    assert page.context["form"].errors
    for field, written in facts.items():
        assert page.context["form"][field].value() == written
    assert ApiKey.objects.shown().get() == key


def test_revoking_asks_for_the_name(alice_client, key):
    address = reverse("keys:revoke_key", args=[key.pk])
    page = alice_client.post(address, {"name": "desktop"})
    assert page.status_code == 400
    assert page.context["revoke_error"]["sentence"] in unescape(page.text)
    assert ApiKey.objects.shown().get().revoked_at is None
    assert alice_client.get(address).status_code == 405
    assert alice_client.post(address, {"name": " laptop "}).status_code == 302
    assert ApiKey.objects.shown().get().revoked_at
    assert "Revoked" in alice_client.get(reverse("keys:keys")).text


def test_a_person_without_a_workspace_creates_one_first_and_an_operator_need_not(operator_client, client):
    client.force_login(User.objects.create_user("new@example.org"))
    assert client.get(reverse("keys:keys"))["Location"] == reverse("website:create_workspace")
    assert operator_client.get(reverse("keys:keys"))["Location"] == reverse("admin:index")
    assert operator_client.get(reverse("website:create_workspace")).status_code == 200
    assert operator_client.post(reverse("website:create_workspace"), {"workspace": ""}).status_code == 400
    assert operator_client.post(reverse("website:create_workspace"), {"workspace": "Desk"}).status_code == 302
    assert operator_client.get(reverse("keys:keys")).status_code == 200
    assert "Create another workspace" in operator_client.get(reverse("website:create_workspace")).text


def test_the_menu_leads_operators_alone_to_the_console(alice, alice_client):
    console = f'href="{reverse("admin:index")}"'
    assert console not in alice_client.get(reverse("keys:keys")).text
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    assert console in alice_client.get(reverse("keys:keys")).text


def test_every_page_of_a_suspended_workspace_says_so(alice_client, acme):
    assert "is suspended" not in alice_client.get(reverse("keys:keys")).text
    workspaces.suspend_tenant(acme)
    for page in ("keys:keys", "billing:usage", "adapters:catalogue"):
        assert "is suspended" in alice_client.get(reverse(page)).text


def test_live_keys_stand_above_dead_ones(alice_client, acme):
    issue_key(acme, name="old-and-live", by=None)
    new, _ = issue_key(acme, name="new-and-dead", by=None)
    actions.revoke_by_operator(new)
    page = alice_client.get(reverse("keys:keys")).text
    assert page.index("old-and-live") < page.index("new-and-dead")


def test_a_key_is_rotated_and_both_secrets_work_for_a_while(alice_client, acme, key):
    address = reverse("keys:rotate_key", args=[key.pk])
    page = alice_client.post(address, {"old_secret_hours": "24"})
    secret = page.context["secret"]
    assert "no-store" in page["Cache-Control"]
    assert key_secrets.verify_key(secret, acme)
    key.refresh_from_db()
    assert key.replaced_by.name == key.name
    assert timedelta(hours=23) < key.expires_at - timezone.now() <= timedelta(hours=24)
    assert secret not in alice_client.get(reverse("keys:keys")).text
    again = alice_client.post(address, {"old_secret_hours": "24"})
    assert again.status_code == 404
    assert ApiKey.objects.shown().count() == 2


def test_a_member_rotates_own_keys_within_own_rights(bob_client, bob, acme, key):
    mine, _ = issue_key(acme, name="mine", by=bob)
    strong, _ = issue_key(acme, name="strong", by=bob, scopes=["admin"])
    for one, status in ((mine, 200), (strong, 403), (key, 403)):
        answer = bob_client.post(reverse("keys:rotate_key", args=[one.pk]), {"old_secret_hours": "0"})
        assert answer.status_code == status


def test_two_hundred_keys_are_paged_and_searched_with_few_queries(
    alice_client, acme, alice, django_assert_max_num_queries
):
    now = timezone.now()
    keys = [
        ApiKey(tenant=acme, name=f"key {n}", digest=uuid4().hex, last4=f"{n:04}", created_by=alice)
        for n in range(200)
    ]
    keys[199].revoked_at = now
    ApiKey.objects.bulk_create(keys)
    with django_assert_max_num_queries(12):
        page = alice_client.get(reverse("keys:keys"))
    assert len(page.context["keys"]) == 50
    last = alice_client.get(reverse("keys:keys"), {"page": "4"})
    assert last.context["keys"][-1] == keys[199]
    found = alice_client.get(reverse("keys:keys"), {"q": "KEY 17"})
    assert {one.name for one in found.context["keys"]} == {"key 17", *(f"key {n}" for n in range(170, 180))}
    assert [one.name for one in alice_client.get(reverse("keys:keys"), {"q": "0042"}).context["keys"]] == [
        "key 42"
    ]
    for query in ({"q": "\x00"}, {"q": "%"}, {"page": "x"}, {"page": "-1"}, {"page": "99"}):
        assert alice_client.get(reverse("keys:keys"), query).status_code == 200


def test_a_key_shows_what_it_cost_this_month(alice_client, acme, key, event):
    record_events([event(acme, admitted_at=timezone.now(), key=key) for _ in range(3)])
    page = alice_client.get(reverse("keys:keys"))
    [row] = page.context["rows"]
    assert row.requests == 3
    assert row.cost_nanousd == sum(one.cost_nanousd for one in key.usage_events.all())
    assert f'title="{usd(row.cost_nanousd)}"' in page.text
