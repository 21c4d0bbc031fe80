from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import workspaces
from accounts.models import Founding
from accounts.subscriptions import subscribe_tenant
from metering import plans
from operations.retention import delete_old
from tenants.models import Membership, Tenant, User
from tenants.persons import domain_of, normalize_address


def test_a_founder_owns_a_tenant_on_the_free_plan_with_a_studio_key(alice, acme):
    assert Tenant.objects.of(alice).get() == acme
    assert Membership.objects.get(tenant=acme).role == "owner"
    assert plans.limits_of(acme, timezone.now()).plan == "free"
    assert acme.keys.get().digest is None
    assert Tenant.objects.stale().get() == acme


def test_names_may_repeat_and_short_names_differ(alice, acme):
    again = [workspaces.create_tenant(alice, name="Acme") for _ in range(12)]
    slugs = {tenant.slug for tenant in again}
    assert len(slugs | {"acme"}) == 13
    assert workspaces.create_tenant(alice, name="!?").slug == "workspace"
    with pytest.raises(workspaces.ReservedName):
        workspaces.create_tenant(alice, name="Base")


@pytest.mark.parametrize(
    ("slug", "error"),
    [("acme", workspaces.SlugTaken), ("base", workspaces.BadSlug), ("A b", workspaces.BadSlug)],
)
def test_a_short_name_of_ones_own_is_free_and_readable(alice, acme, slug, error):
    with pytest.raises(error, match=slug):
        workspaces.create_tenant(alice, name="Another", slug=slug)


def create_paid(user: User, name: str) -> Tenant:
    tenant = workspaces.create_own_tenant(user, name=name)
    subscribe_tenant(tenant, plans.newest_plan_version("writer"), at=tenant.created_at)
    return tenant


def test_a_person_creates_three_workspaces_an_hour_and_five_a_day_by_any_spelling(db, monkeypatch):
    now = timezone.now()
    monkeypatch.setattr(workspaces.timezone, "now", lambda: now)
    accounts = [User.objects.create_user(f"dora+{n}@example.org") for n in range(2)]
    made = [create_paid(accounts[n % 2], f"W{n}") for n in range(3)]
    Tenant.objects.filter(pk=made[0].pk).update(deleted_at=now)  # it counts all the same
    with pytest.raises(workspaces.CreatedTooOften, match="created 3 workspaces recently"):
        workspaces.create_own_tenant(accounts[1], name="W3")
    workspaces.create_own_tenant(User.objects.create_user("eve@example.org"), name="Eve's")
    Founding.objects.update(created_at=now - timedelta(hours=2))
    for n in range(3, 5):
        create_paid(accounts[0], f"W{n}")
    with pytest.raises(workspaces.CreatedTooOften, match="created 5 workspaces recently"):
        workspaces.create_own_tenant(accounts[0], name="W5")
    Founding.objects.update(created_at=now - timedelta(hours=25))
    workspaces.create_own_tenant(accounts[0], name="W5")
    assert delete_old("Founding", timezone.now()) == 6


def test_a_domain_and_a_network_bring_few_new_people_a_day(db, settings, monkeypatch):
    settings.NEW_PEOPLE_PER_DOMAIN = settings.NEW_PEOPLE_PER_NETWORK = 2
    now = timezone.now()
    monkeypatch.setattr(workspaces.timezone, "now", lambda: now)

    def found(email: str, address: str | None = None) -> User:
        user, _ = User.objects.get_or_create(email=email)
        workspaces.create_own_tenant(user, name=f"W{Tenant.objects.count()}", address=address)
        return user

    first = found("a@x.catchall.example", "203.0.113.1")
    found("b@y.catchall.example", "198.51.100.1")
    with pytest.raises(workspaces.TooManyNewPeople, match="Try again tomorrow"):
        found("c@catchall.example")
    subscribe_tenant(Tenant.objects.of(first).get(), plans.newest_plan_version("writer"))
    found(first.email)  # is not new
    for number in range(3):
        found(f"q{number}@gmail.com", "127.0.0.1")  # everybody's domain, and an untrusted proxy's address
    for number in range(2):
        found(f"n{number}@n{number}.example", f"2a01:4f8:1:{number}::1")
    with pytest.raises(workspaces.TooManyNewPeople):
        found("n3@gmail.com", "2a01:4f8:1:ffff::1")
    Founding.objects.update(created_at=now - timedelta(hours=25))
    found("c@catchall.example", "2a01:4f8:1:ffff::1")


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("a@mail.firm.example", "b@firm.example"),
        ("a@x.firm.co.uk", "b@firm.co.uk"),
        ("a@bücher.example", "b@xn--bcher-kva.example"),
    ],
)
def test_names_below_a_registered_domain_are_one_domain(address, same):
    assert domain_of(address) == domain_of(same) != domain_of("b@other.co.uk")


def test_what_was_typed_stays_when_a_workspace_comes_too_soon(alice, alice_client, acme, settings):
    subscribe_tenant(acme, plans.newest_plan_version("writer"))
    settings.WORKSPACES_PER_HOUR = 0
    page = alice_client.post(reverse("website:create_workspace"), {"workspace": "Second Press"})
    assert page.status_code == 400
    assert 'value="Second Press"' in page.text
    assert "which is the limit" in page.text


@pytest.mark.parametrize(
    ("address", "normal"),
    [
        ("Dora@Example.org", "dora@example.org"),
        ("d.o.ra+a+b@GoogleMail.com", "dora@gmail.com"),
        ("d.ora@example.org", "d.ora@example.org"),
        ("do_ra-1+x@pm.me", "dora1@pm.me"),
        ("+x@example.org", "+x@example.org"),
        ("...@gmail.com", "...@gmail.com"),
        ('"q"@example.org', "q@example.org"),
        (r'"\q"@example.org', "q@example.org"),
        ("q@Bücher.example", "q@xn--bcher-kva.example"),
    ],
)
def test_addresses_of_one_mailbox_have_one_spelling(address, normal):
    assert normalize_address(address) == normal


def test_there_is_one_first_party_tenant(db):
    assert (
        workspaces.first_party_tenant()
        == workspaces.first_party_tenant()
        == Tenant.objects.get(is_first_party=True, slug="polyscribe")
    )


def test_subscriptions_follow_each_other_without_gap(acme):
    newer = workspaces.subscribe_tenant(acme, plans.newest_plan_version("writer"))
    older = acme.subscriptions.exclude(pk=newer.pk).get()
    assert older.ends_at == newer.starts_at
    assert plans.limits_of(acme, newer.starts_at).plan == "writer"
