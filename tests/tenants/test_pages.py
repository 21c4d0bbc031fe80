from collections.abc import Collection
from datetime import timedelta
from html import unescape
from uuid import UUID, uuid4

import pytest
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from adapters.catalog import queries
from adapters.catalog.selection import select_style
from adapters.models import BaseModel, Style
from core.money import NANO, usd
from core.valkey import key_key, limits_key
from tenants.accounts import workspaces
from tenants.api_keys import key_format, lifecycle
from tenants.metering.forms import DollarsField
from tenants.metering.ledger import record_events
from tenants.models import ApiKey, AuditEntry, Tenant, User
from website.key_forms import LimitsForm

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
    return lifecycle.issue_key(acme, name="laptop", by=alice)[0]


def test_members_see_their_tenants_keys_and_others_dont(alice_client, bob_client, charlie_client, key):
    for client in (alice_client, bob_client):
        page = client.get(reverse("website:keys"))
        assert page.status_code == 200
        assert list(page.context["keys"]) == [key]
        assert f"{key.prefix}…{key.last4}" in page.text
    page = charlie_client.get(reverse("website:keys"))
    assert not page.context["keys"]
    assert key.last4 not in page.text


def test_another_tenants_key_is_not_there(charlie_client, key):
    answer = charlie_client.post(reverse("website:revoke_key", args=[key.pk]), {"name": key.name})
    limits = reverse("website:limit_key", args=[key.pk])
    answers = [answer, charlie_client.get(limits), charlie_client.post(limits, {"parallel_requests": "1"})]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    key.refresh_from_db()
    assert key.revoked_at is None
    assert key.own_limits == []


def test_the_studio_key_cant_be_revoked_or_limited(alice_client, acme):
    studio = lifecycle.playground_key(acme)
    for action in ("revoke_key", "limit_key"):
        answer = alice_client.post(reverse(f"website:{action}", args=[studio.pk]), {"name": studio.name})
        assert answer.status_code == 404


def test_a_secret_is_shown_once(alice_client, alice):
    facts = {"name": "newsletter", "lifetime_days": "30", "monthly_tokens": "5000", "scopes": ["inference"]}
    page = alice_client.post(reverse("website:issue_key"), facts)
    secret = page.context["secret"]
    key = ApiKey.objects.shown().get()
    assert key_format.is_well_formed(secret)
    assert secret in page.text
    assert "no-store" in page["Cache-Control"]
    assert (key.digest, key.created_by, key.monthly_tokens) == (key_format.digest_key(secret), alice, 5000)
    assert round((key.expires_at - key.created_at).total_seconds() / 86400) == 30
    assert secret not in alice_client.get(reverse("website:keys")).text


@pytest.mark.django_db(transaction=True)
def test_a_key_is_made_with_its_limits(bob_client, acme, valkey):
    facts = {
        "name": "bot",
        "budget": "12.345678901",
        "requests_per_minute": "10",
        "tokens_per_minute": "5000",
        "scopes": ["inference", "styles:read"],
    }
    facts |= {"parallel_requests": "1", "styles": [str(POETRY), str(LEGAL)]}
    page = bob_client.post(reverse("website:issue_key"), facts)
    key = ApiKey.objects.shown().get()
    assert key.monthly_nanousd == 12_345_678_901
    assert key.scopes == ["inference", "styles:read"]
    assert key.own_limits == [
        "$12.345678901 per month", "10 requests per minute", "5,000 tokens per minute",
        "1 concurrent request", "2 styles only",
    ]  # fmt: skip
    assert all(words in page.text for words in key.own_limits)
    published = valkey.hgetall(key_key(acme.pk, key.pk))
    assert (published["monthly_nanousd"], published["parallel_requests"]) == ("12345678901", "1")
    assert set(published["styles"].split(",")) == {str(POETRY), str(LEGAL)}


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
def test_an_amount_that_cant_be_is_refused_in_words(alice_client, written, said):
    page = alice_client.post(reverse("website:issue_key"), {"name": "bot", "budget": written})
    assert page.status_code == 400
    assert said in page.text
    assert f'value="{written}"' in page.text
    assert not ApiKey.objects.shown().exists()


@pytest.mark.django_db(transaction=True)
def test_changing_a_keys_limits_is_published_and_shown(alice_client, acme, key, valkey):
    address = reverse("website:limit_key", args=[key.pk])
    assert alice_client.get(address).status_code == 200
    facts = {"budget": "0.5", "parallel_requests": "3", "styles": [str(LEGAL)]}
    assert alice_client.post(address, facts).status_code == 302
    published = valkey.hgetall(key_key(acme.pk, key.pk))
    assert (published["monthly_nanousd"], published["styles"]) == ("500000000", str(LEGAL))
    page = alice_client.get(address)
    assert 'value="0.50"' in page.text
    assert page.context["form"]["styles"].value() == [LEGAL]
    assert "1 style only" in alice_client.get(reverse("website:keys")).text
    alice_client.post(address, {})
    assert valkey.hmget(key_key(acme.pk, key.pk), "monthly_nanousd", "styles") == ["", ""]


@pytest.mark.parametrize(
    "style", [str(CHARLIES_OWN), str(uuid4()), "poetry"], ids=["Charlie's", "unknown", "a name"]
)
def test_a_key_is_bound_only_to_styles_that_its_tenant_may_use(alice_client, acme, key, style):
    facts = {"name": "bot", "styles": [str(POETRY), style]}
    for address in (reverse("website:issue_key"), reverse("website:limit_key", args=[key.pk])):
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
    select_style(acme, public)
    assert offered() == [str(own.pk), str(public.pk)]
    assert LimitsForm({"styles": [str(secret.pk)]}, tenant=acme).errors.keys() == {"styles"}


def test_a_style_that_went_away_keeps_its_key_bound(alice_client, acme, key):
    """Without its tick, saving another limit would open the key to every style."""
    gone = uuid4()
    lifecycle.limit_key(key, styles=[gone])
    address = reverse("website:limit_key", args=[key.pk])
    form = alice_client.get(address).context["form"]
    assert form["styles"].value() == [gone]
    assert str(gone) in str(form["styles"])
    alice_client.post(address, {"parallel_requests": "2", "styles": [str(gone)]})
    key.refresh_from_db()
    assert (key.styles, key.parallel_requests) == ([gone], 2)


def test_only_a_key_in_use_has_limits_to_change(alice_client, acme, key):
    over, _ = lifecycle.issue_key(
        acme, name="over", by=None, expires_at=timezone.now() - timedelta(seconds=1)
    )
    lifecycle.revoke_key(key)
    for one in (key, over):
        assert alice_client.get(reverse("website:limit_key", args=[one.pk])).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_the_owner_sets_the_budget_and_a_member_sees_it(alice_client, bob_client, acme, charlies, valkey):
    address = reverse("billing:set_budget")
    assert alice_client.get(address).status_code == 405
    assert alice_client.post(address, {"budget": "7.25"}).status_code == 302
    assert valkey.hget(limits_key(acme.pk), "monthly_nanousd") == "7250000000"
    refused = bob_client.post(address, {"budget": "1"})
    assert refused.status_code == 403
    assert "Only owners and admins can change its settings" in refused.text
    page = bob_client.get(reverse("billing:usage"))
    assert "$7.25 budget spent" in page.text
    assert address not in page.text
    wrong = alice_client.post(address, {"budget": "a lot"})
    assert wrong.status_code == 400
    assert 'value="a lot"' in wrong.text
    acme.refresh_from_db()
    assert acme.monthly_nanousd == 7_250_000_000
    assert Tenant.objects.get(pk=charlies.pk).monthly_nanousd is None
    alice_client.post(address, {"budget": ""})
    assert valkey.hget(limits_key(acme.pk), "monthly_nanousd") == ""
    entry = AuditEntry.objects.filter(tenant=acme).latest("pk")
    details = alice_client.get(reverse("tenants:audit_entry", args=[entry.pk]))
    assert details.context["row"]["changes"] == [("monthly_usd", "$7.25", None)]


@pytest.mark.parametrize(
    "facts",
    [
        {"name": ""},
        {"name": "laptop"},
        {"name": "x", "monthly_tokens": "-1"},
        {"name": "x", "scopes": ["admin", "no such"]},
    ],
)
def test_a_wrong_form_makes_no_key_and_loses_nothing(alice_client, key, facts):
    page = alice_client.post(reverse("website:issue_key"), facts)
    assert page.status_code == 400
    assert page.context["form"].errors
    assert page.context["form"]["name"].value() == facts["name"]
    assert ApiKey.objects.shown().get() == key


def test_revoking_asks_for_the_name(alice_client, key):
    address = reverse("website:revoke_key", args=[key.pk])
    page = alice_client.post(address, {"name": "desktop"})
    assert page.status_code == 400
    assert page.context["revoke_error"]["sentence"] in unescape(page.text)
    assert ApiKey.objects.shown().get().revoked_at is None
    assert alice_client.get(address).status_code == 405
    assert alice_client.post(address, {"name": " laptop "}).status_code == 302
    assert ApiKey.objects.shown().get().revoked_at
    assert "Revoked" in alice_client.get(reverse("website:keys")).text


def test_a_person_without_a_workspace_creates_one_first_and_an_operator_need_not(operator_client, client):
    client.force_login(User.objects.create_user("new@example.org"))
    assert client.get(reverse("website:keys"))["Location"] == reverse("website:create_workspace")
    assert operator_client.get(reverse("website:keys"))["Location"] == reverse("admin:index")
    assert operator_client.get(reverse("website:create_workspace")).status_code == 200
    assert operator_client.post(reverse("website:create_workspace"), {"workspace": ""}).status_code == 400
    assert operator_client.post(reverse("website:create_workspace"), {"workspace": "Desk"}).status_code == 302
    assert operator_client.get(reverse("website:keys")).status_code == 200
    assert "Create another workspace" in operator_client.get(reverse("website:create_workspace")).text


def test_the_menu_leads_operators_alone_to_the_console(alice, alice_client):
    console = f'href="{reverse("admin:index")}"'
    assert console not in alice_client.get(reverse("website:keys")).text
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    assert console in alice_client.get(reverse("website:keys")).text


def test_every_page_of_a_suspended_workspace_says_so(alice_client, acme):
    assert "is suspended" not in alice_client.get(reverse("website:keys")).text
    workspaces.suspend_tenant(acme)
    for page in ("website:keys", "billing:usage", "adapters:catalogue"):
        assert "is suspended" in alice_client.get(reverse(page)).text


def test_live_keys_stand_above_dead_ones(alice_client, acme):
    lifecycle.issue_key(acme, name="old-and-live", by=None)
    new, _ = lifecycle.issue_key(acme, name="new-and-dead", by=None)
    lifecycle.revoke_key(new)
    page = alice_client.get(reverse("website:keys")).text
    assert page.index("old-and-live") < page.index("new-and-dead")


def test_a_key_is_rotated_and_both_secrets_work_for_a_while(alice_client, acme, key):
    address = reverse("website:rotate_key", args=[key.pk])
    assert alice_client.get(address).status_code == 200
    page = alice_client.post(address, {"old_secret_hours": "24"})
    secret = page.context["secret"]
    assert "no-store" in page["Cache-Control"]
    assert lifecycle.verify_key(secret, acme)
    key.refresh_from_db()
    assert key.replaced_by.name == key.name
    assert timedelta(hours=23) < key.expires_at - timezone.now() <= timedelta(hours=24)
    assert secret not in alice_client.get(reverse("website:keys")).text
    again = alice_client.post(address, {"old_secret_hours": "24"})
    assert again.status_code == 404
    assert ApiKey.objects.shown().count() == 2


def test_a_member_rotates_own_keys_within_own_rights(bob_client, charlie_client, bob, acme, key):
    mine, _ = lifecycle.issue_key(acme, name="mine", by=bob)
    strong, _ = lifecycle.issue_key(acme, name="strong", by=bob, scopes=["admin"])
    for one, status in ((mine, 200), (strong, 403), (key, 403)):
        answer = bob_client.post(reverse("website:rotate_key", args=[one.pk]), {"old_secret_hours": "0"})
        assert answer.status_code == status
    assert charlie_client.get(reverse("website:rotate_key", args=[key.pk])).status_code == 404


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
        page = alice_client.get(reverse("website:keys"))
    assert len(page.context["keys"]) == 50
    last = alice_client.get(reverse("website:keys"), {"page": "4"})
    assert last.context["keys"][-1] == keys[199]
    found = alice_client.get(reverse("website:keys"), {"q": "KEY 17"})
    assert {one.name for one in found.context["keys"]} == {"key 17", *(f"key {n}" for n in range(170, 180))}
    assert [one.name for one in alice_client.get(reverse("website:keys"), {"q": "0042"}).context["keys"]] == [
        "key 42"
    ]
    for query in ({"q": "\x00"}, {"q": "%"}, {"page": "x"}, {"page": "-1"}, {"page": "99"}):
        assert alice_client.get(reverse("website:keys"), query).status_code == 200


def test_a_key_shows_what_it_cost_this_month(alice_client, acme, key, event):
    record_events([event(acme, admitted_at=timezone.now(), key=key) for _ in range(3)])
    page = alice_client.get(reverse("website:keys"))
    [row] = page.context["rows"]
    assert row.requests == 3
    assert row.cost_nanousd == sum(one.cost_nanousd for one in key.usage_events.all())
    assert f'title="{usd(row.cost_nanousd)}"' in page.text
