"""Every list of the console stays quick, however long: made from the registry, so a new one is covered."""

import re
from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from core.console import MAX_COUNTED, ListAdmin
from metering.console import LongList
from tenants.models import ApiKey
from tests.operations.console_rows import Rows

MOST = 12  # queries of a page, whatever it shows
SHOWN = MOST + 3  # rows: one query for each would be too many
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
OWN_PAGES = [
    "admin:index",
    "admin:jobs",
    "admin:watermark",
    "admin:adapters_style_queue",
]
MORE = {
    "admin:index": (30, "It reads each tile's number."),
    "admin:jobs": (13, "It counts each kind of row that may be stuck."),
}
UUID_TEXT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")
BOUND = f"LIMIT {MAX_COUNTED + 1}"


@pytest.fixture
def filled(db, valkey) -> Rows:
    rows = Rows(SHOWN)
    rows.of_all_lists()
    return rows


def address_of(model: type[Model], page: str, *arguments: object) -> str:
    return reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_{page}", args=arguments)


def queries_of(client: Client, address: str) -> list[str]:
    assert client.get(address).status_code == 200, address  # what is read once in a while
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200, address
    return [query["sql"] for query in queries]


def reads_a_whole_table(sql: str) -> bool:
    return (sql.startswith("SELECT COUNT(") and BOUND not in sql) or "DISTINCT" in sql


def faults_of_list(client: Client, model: type[Model]) -> Iterator[str]:
    asked = queries_of(client, address_of(model, "changelist"))
    whole = [sql for sql in asked if reads_a_whole_table(sql)]
    if len(asked) > MOST or whole:
        yield f"{model._meta.label}: {len(asked)} queries; of a whole table: {whole}"


def faults_of_page(client: Client, row: Model) -> Iterator[str]:
    page = client.get(address_of(type(row), "change", row.pk))
    if UUID_TEXT.search(str(page.context["original"])):
        yield f"{row._meta.label}: its title has an id: {page.context['original']}"
    if "nanousd</" in page.text:
        yield f"{row._meta.label}: its page has an amount that is not in dollars"


def test_with_many_rows_all_pages_ask_few_questions_and_show_what_people_can_read(operator_client, filled):
    faults = []
    for model in MODELS:
        assert len(filled.of(model)) >= SHOWN, model
        faults += faults_of_list(operator_client, model)
        faults += faults_of_page(operator_client, filled.of(model)[0])
    for name in OWN_PAGES:
        asked = queries_of(operator_client, reverse(name))
        if len(asked) > MORE.get(name, (MOST, ""))[0]:
            faults.append(f"{name}: {len(asked)} queries: {[sql[:150] for sql in asked]}")
    assert faults == [], "\n".join(faults)


def test_no_list_counts_its_table_or_sorts_a_long_one_without_an_index():
    for model in MODELS:
        page = admin.site._registry[model]
        assert isinstance(page, ListAdmin), f"let {model._meta.label} be a core.console.ListAdmin"
        assert page.show_full_result_count is False, model
        assert not (isinstance(page, LongList) and page.sortable_by), model


SECRETS = re.compile(r"digest|hash|sha256|fingerprint|password|sealed|^data$")


def test_no_filter_asks_for_a_secret_or_a_digest(rf):
    found = set()
    for model, page in admin.site._registry.items():
        for field in model._meta.concrete_fields:
            if SECRETS.search(field.name):
                found.add(f"{model._meta.label}.{field.name}")
                for lookup in (field.name, f"{field.name}__startswith", f"{field.name}__regex"):
                    assert not page.lookup_allowed(lookup, "a", rf.get("/")), found
    assert {"tenants.ApiKey.digest", "tenants.User.password", "mfa.Authenticator.data"} < found


def test_a_refused_filter_answers_400(operator_client):
    address = address_of(ApiKey, "changelist")
    assert operator_client.get(address, {"digest__startswith": "a"}).status_code == 400
    assert operator_client.get(address, {"name__startswith": "a"}).status_code == 200
