"""A change leaves the same line in the audit log and the same events, whether a page or a program made it.

Made from the list of changes: for each operation of the API that a page has as well.
"""

import json
import re

import pytest
from django.db.models import Model, QuerySet
from django.test import Client

from events.models import OutboxEvent
from tenants.models import AuditEntry, User
from tests.config.addresses import address_of
from tests.config.changes import FORMS, OPERATIONS, Change, operations, prepared
from tests.config.rows import undone
from tests.config.things import Arguments
from tests.operations.builders import signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey", "ready")]

# Operation → the form of a page that does the same.
ON_A_PAGE = {
    "workspace.edit": "billing:set_budget",
    "workspace.delete": "website:delete_workspace",
    "workspace.stop_deletion": "website:stop_deletion",
    "billing.edit_details": "billing:billing_details",
    "billing.top_up": "billing:top_up",
    "billing.set_auto_top_up": "billing:auto_top_up",
    "billing.change_plan": "billing:change_plan",
    "billing.keep_plan": "billing:keep_plan",
    "invoices.pay": "billing:pay_invoice",
    "keys.create": "keys:issue_key",
    "keys.edit": "keys:limit_key",
    "keys.revoke": "keys:revoke_key",
    "keys.rotate": "keys:rotate_key",
    "members.edit": "accounts:change_role",
    "members.remove": "accounts:remove_member",
    "invitations.create": "accounts:invite",
    "invitations.resend": "accounts:resend_invitation",
    "invitations.withdraw": "accounts:withdraw_invitation",
    "webhooks.create": "events:webhooks",
    "webhooks.edit": "events:webhook",
    "webhooks.rotate": "events:rotate_webhook_secret",
    "webhooks.test": "events:test_webhook",
    "webhooks.enable": "events:enable_webhook",
    "webhooks.disable": "events:disable_webhook",
    "webhooks.delete": "events:delete_webhook",
    "webhooks.redeliver": "events:redeliver_webhook",
    "styles.delete": "adapters:delete_style",
    "styles.offer": "adapters:offer",
    "styles.ask_price": "adapters:ask_price",
    "styles.withdraw_price": "adapters:withdraw_price",
    "styles.select": "adapters:select",
    "styles.unselect": "adapters:unselect",
    "shares.create": "adapters:share",
    "shares.revoke": "adapters:change_share",
    "releases.set_canary": "adapters:begin_canary",
    "releases.end_canary": "adapters:end_canary",
    "releases.rollback": "adapters:roll_back",
    "versions.promote": "adapters:promote",
    "versions.retire": "adapters:retire",
    "versions.retry": "adapters:retry",
    "versions.autofix": "adapters:convert",
    "versions.delete": "adapters:erase_version",
    "uploads.cancel": "adapters:cancel",
    "uploads.finish": "adapters:finish",
    "trainings.create": "training:new",
    "trainings.create_evaluation": "training:new_evaluation",
    "trainings.evaluate": "training:evaluate",
    "trainings.start": "training:start",
    "trainings.pause": "training:pause",
    "trainings.resume": "training:resume",
    "trainings.cancel": "training:cancel",
    "trainings.delete": "training:delete",
    "trainings.documents.edit": "training:leave_out_document",
    "trainings.documents.delete": "training:delete_document",
}
LOGGED = ("action", "actor", "object_type", "object_name", "before", "after", "reason", "address")
# What differs between two times of the same: ids, moments, secrets, and the numbers of payments and rows.
BY_CHANCE = re.compile(
    r'[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|"\d{4}-\d\d-\d\dT[^"]*"|PAY-[0-9A-F]{8}|"id": \d+'
    r"|sk-ps-[\w-]+\\u2026[\w-]+"
)


def new_rows(model: type[Model]) -> QuerySet[Model]:
    """Return the rows that come from now on, when they are read."""
    known = list(model.objects.values_list("pk", flat=True))
    return model.objects.exclude(pk__in=known)


def left_behind(act, of_acme: Arguments, change: Change) -> str:
    """Return what a change writes into the audit log and the outbox, and undo it."""
    with undone():
        arguments = prepared(change, of_acme)
        entries, events = new_rows(AuditEntry), new_rows(OutboxEvent)
        answer = act(arguments)
        assert answer.status_code < 400, answer.content
        written = [
            list(entries.order_by("pk").values(*LOGGED)),
            list(events.order_by("created_at").values("type", "object", "facts")),
        ]
    assert written[0]
    return BY_CHANCE.sub("…", json.dumps(written, sort_keys=True, indent=1, default=str))


def made_on_page(name: str, browser: Client, of_acme: Arguments) -> str:
    change = FORMS[name]
    options = {"content_type": "application/json"} if change.is_json else {}
    return left_behind(lambda of: browser.post(address_of(name, of), change.sent, **options), of_acme, change)


def made_by_program(name: str, browser: Client, of_acme: Arguments) -> str:
    method, path = operations()[name]
    change = OPERATIONS[name]
    send = getattr(browser, method)

    def act(arguments: Arguments):
        return send(path.format(**arguments), change.sent or None, content_type="application/json")

    return left_behind(act, of_acme, change)


def test_a_page_and_a_program_leave_the_same(alice: User, of_acme: Arguments, subtests):
    for operation, form in ON_A_PAGE.items():
        with subtests.test(operation):
            by_page = made_on_page(form, signed_in(alice), of_acme)
            assert by_page == made_by_program(operation, signed_in(alice), of_acme)
