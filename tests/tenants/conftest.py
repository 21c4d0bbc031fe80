import pytest

from tenants.accounts.access import Access
from tenants.models import Membership


@pytest.fixture
def owner(alice, acme) -> Access:
    """Alice, acting in Acme."""
    return Access(tenant=acme, user=alice, role=Membership.Role.OWNER)


@pytest.fixture
def stranger(charlie, charlies) -> Access:
    """Charlie, acting in a workspace of his own."""
    return Access(tenant=charlies, user=charlie, role=Membership.Role.OWNER)


@pytest.fixture
def bobs(bob, acme) -> Membership:
    """Bob's place in Acme."""
    return Membership.objects.get(user=bob, tenant=acme)
