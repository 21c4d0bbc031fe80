import pytest
from django.utils import timezone

from tenants.accounts import workspaces
from tenants.billing import plans
from tenants.models import Membership, Tenant, User


def test_a_founder_owns_a_tenant_on_the_free_plan_with_a_studio_key(alice, acme):
    assert workspaces.default_tenant(alice) == acme
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


def test_a_person_without_a_workspace_gets_an_error(db):
    with pytest.raises(workspaces.NoTenant):
        workspaces.default_tenant(User.objects.create_user("new@example.org"))


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
