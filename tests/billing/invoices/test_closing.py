"""A month is closed some workspaces at a time: by any number of workers, each invoice once."""

from threading import Barrier

import pytest

from accounts.workspaces import create_tenant
from billing import tasks
from billing.invoices import invoices
from core.money import NANO
from metering import credits
from metering.models import Invoice
from tenants.models import User
from tests.billing.builders import NOVEMBER, OCTOBER, backdate, grant, put_on
from tests.racing import race

PERIOD = "2026-10"


@pytest.fixture
def six(db):
    """Six workspaces that owe a fee, in the order of batches."""
    made = []
    for number in range(6):
        user = User.objects.create_user(f"closing-{number}@example.org")
        tenant = backdate(create_tenant(user, name=f"Closing {number}"))
        put_on(tenant, monthly_fee_nanousd=5 * NANO)
        made.append(tenant)
    return sorted(made, key=lambda tenant: tenant.pk)


@pytest.fixture
def enqueued(monkeypatch):
    """The batches that were enqueued, instead of workers; each has to be forgotten if nobody takes it."""
    batches = []

    def enqueue(arguments, *, expires):
        assert 0 < expires <= 3600
        batches.append(arguments)

    for task in (tasks.draft_batch, tasks.finalize_batch):
        monkeypatch.setattr(task, "apply_async", enqueue)
    return batches


def test_a_month_is_drafted_and_finalized_in_batches(six, enqueued, monkeypatch):
    monkeypatch.setattr(tasks, "BATCH_SIZE", 4)
    tasks.draft_invoices(PERIOD)
    assert [len(tenant_ids) for _, tenant_ids in enqueued] == [4, 2]
    assert not Invoice.objects.exists()
    for arguments in enqueued:
        tasks.draft_batch(*arguments)
    assert Invoice.objects.filter(state="draft").count() == 6
    enqueued.clear()
    tasks.draft_invoices(PERIOD)
    tasks.finalize_invoices()
    assert enqueued == [], "nothing is left to draft, and no draft is a day old"
    Invoice.objects.update(created_at=OCTOBER)
    tasks.finalize_invoices()
    for arguments in enqueued:
        tasks.finalize_batch(*arguments)
        tasks.finalize_batch(*arguments)
    assert sorted(Invoice.objects.values_list("number", flat=True)) == [1, 2, 3, 4, 5, 6]


def test_a_batch_that_fails_holds_up_no_other_and_comes_again(six, enqueued, monkeypatch):
    monkeypatch.setattr(tasks, "BATCH_SIZE", 2)
    tasks.draft_invoices(PERIOD)
    real = invoices.draft_invoice

    def fail_for_the_first(tenant, period):
        if tenant == six[0]:
            raise ConnectionError
        return real(tenant, period)

    with monkeypatch.context() as patch:
        patch.setattr(invoices, "draft_invoice", fail_for_the_first)
        with pytest.raises(ConnectionError):
            tasks.draft_batch(*enqueued[0])
        for arguments in enqueued[1:]:
            tasks.draft_batch(*arguments)
    assert Invoice.objects.count() == 5, "the one beside it in the batch has its invoice"
    enqueued.clear()
    tasks.draft_invoices(PERIOD)
    assert [list(tenant_ids) for _, tenant_ids in enqueued] == [[six[0].pk]]


def test_a_workspace_without_an_invoice_is_in_a_batch_if_its_credits_end(acme, enqueued):
    backdate(acme)
    grant(acme, NANO, last_period=PERIOD, now=OCTOBER)
    tasks.draft_invoices(PERIOD)
    for arguments in enqueued:
        tasks.draft_batch(*arguments)
    assert not Invoice.objects.exists()
    assert credits.open_credits(acme.pk) == []


@pytest.mark.django_db(transaction=True)
def test_two_workers_with_the_same_batch_draft_and_finalize_each_invoice_once(six):
    tenant_ids = [tenant.pk for tenant in six]
    together = Barrier(2)

    def close() -> int:
        drafted = invoices.draft_month(PERIOD, tenant_ids)
        together.wait(timeout=60)
        Invoice.objects.filter(state="draft").update(created_at=OCTOBER)
        together.wait(timeout=60)
        invoices.finalize_due(NOVEMBER, list(Invoice.objects.values_list("pk", flat=True)))
        return drafted

    drafted = race(*[close] * 2)
    assert sum(drafted) == 6, "neither drafts anew what the other one has"
    assert sorted(Invoice.objects.values_list("number", flat=True)) == [1, 2, 3, 4, 5, 6]
