"""Every page asks the database few questions: made from the URLconf, so a new page that asks many fails."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.config.addresses import ALL, API, address_of
from tests.config.changes import two_versions
from tests.operations.builders import used

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

MOST = 12
MORE = {
    "billing:invoices": (
        16,
        "It draws up the running month's invoice: usage, hosting, trainings, credits, prices.",
    ),
    "member_home": (
        14,
        "The budget on it counts requests and trainings, which are in two tables; without https it also "
        "looks for the demo's sample data.",
    ),
    "billing:usage": (13, "It compares the month with as many days before."),
    "adapters:style": (14, "It shows what was measured, and whether it can be measured again."),
    "billing:plan": (
        23,
        "It previews each plan on this month's usage, beside what is announced and what is raised.",
    ),
}


def test_a_page_asks_at_most_twelve_questions(alice_client, acme, of_acme):
    two_versions(of_acme)
    used(acme, "acme/secret", times=3)
    asked = {}
    for name in ALL:
        if name.startswith(API):
            continue
        address = address_of(name, of_acme)
        if alice_client.get(address).status_code != 200:  # notes once in ten minutes that she was here
            continue
        with CaptureQueriesContext(connection) as queries:
            alice_client.get(address)
        asked[name] = len(queries)
    assert len(asked) > 25
    too_many = {name: count for name, count in asked.items() if count > MORE.get(name, (MOST, ""))[0]}
    assert not too_many, "look for what is asked twice, or say in MORE why it is needed"
