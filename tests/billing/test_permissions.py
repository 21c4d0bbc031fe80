"""What an action about money requires of its caller, a page or a program."""

from uuid import uuid4

import pytest

from accounts.workspaces import edit_workspace
from billing import plan_changes
from billing.invoices import details
from billing.payments import auto_top_up, payments
from core.money import NANO
from tenants.access import Access
from tenants.models import AuditEntry
from tenants.roles import RoleNotAllowed
from tests.tenants.builders import owner_of

ACTIONS = {
    "buys credits": lambda by: payments.begin_top_up(25 * NANO, by=by, payment_id=uuid4()),
    "pays an invoice": lambda by: payments.begin_invoice_payment(by.tenant.invoices.first(), by=by),
    "tops up": lambda by: auto_top_up.set_auto_top_up(threshold_nanousd=None, amount_nanousd=None, by=by),
    "changes the plan": lambda by: plan_changes.change_plan("writer", by=by),
    "keeps the plan": lambda by: plan_changes.keep_plan(by=by),
    "sets details": lambda by: details.set_details({"name": "Acme Ltd"}, by=by),
    "sets a budget": lambda by: edit_workspace(by, {"monthly_nanousd": NANO}),
}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_a_viewer_is_refused_by_the_action_itself(acme, action):
    with pytest.raises(RoleNotAllowed):
        action(Access(tenant=acme, role="viewer"))
    assert not AuditEntry.objects.exists()


def test_only_what_changed_is_logged(acme):
    by = owner_of(acme)
    details.set_details({"name": "Acme Ltd", "address": "1 High Street"}, by=by)
    for _ in range(2):
        details.set_details({"name": "Acme Letters Ltd", "address": "1 High Street"}, by=by)
        edit_workspace(by, {"monthly_nanousd": NANO})
    logged = AuditEntry.objects.order_by("pk").values_list("action", "before", "after")
    assert list(logged[1:]) == [
        ("billing_details.edited", {"name": "Acme Ltd"}, {"name": "Acme Letters Ltd"}),
        ("workspace.edited", {"monthly_nanousd": None}, {"monthly_nanousd": NANO}),
    ]
