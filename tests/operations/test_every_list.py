"""Every list of the console stays quick, however long: made from the registry, so a new one is covered."""

import re

import pytest
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from core.console import ListAdmin
from core.estimated_paginator import MAX_COUNTED
from tenants.admin.lists import LongList
from tests.operations.console_rows import Rows

MOST = 12  # queries of a page, whatever it shows
SHOWN = MOST + 3  # rows: one query for each would be too many
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
OWN_PAGES = [
    "admin:index",
    "admin:jobs",
    "admin:watermark",
    "admin:adapters_style_queue",
    "admin:tenants_pricebook_what_if",
]
MORE = {"admin:index": (30, "It reads each tile's number.")}
UUID_TEXT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")
BOUND = f"LIMIT {MAX_COUNTED + 1}"


@pytest.fixture
def filled(db, valkey) -> Rows:
    rows = Rows(SHOWN)
    rows.of_all_lists()
    return rows


def address_of(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_changelist")


def queries_of(client: Client, address: str) -> list[str]:
    assert client.get(address).status_code == 200, address  # what is read once in a while
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200, address
    return [query["sql"] for query in queries]


def reads_a_whole_table(sql: str) -> bool:
    return (sql.startswith("SELECT COUNT(") and BOUND not in sql) or "DISTINCT" in sql


def test_a_list_of_many_rows_asks_few_questions_and_none_of_a_whole_table(operator_client, filled):
    faults = []
    for model in MODELS:
        assert len(filled.of(model)) >= SHOWN, model
        asked = queries_of(operator_client, address_of(model))
        whole = [sql for sql in asked if reads_a_whole_table(sql)]
        if len(asked) > MOST or whole:
            faults.append(f"{model._meta.label}: {len(asked)} queries; of a whole table: {whole}")
    assert faults == [], "\n".join(faults)


def test_a_rows_page_has_a_title_without_ids_and_amounts_in_dollars(operator_client, filled):
    faults = []
    for model in MODELS:
        row = filled.of(model)[0]
        label = model._meta.label_lower.replace(".", "_")
        page = operator_client.get(reverse(f"admin:{label}_change", args=[row.pk]))
        if UUID_TEXT.search(str(page.context["original"])) or "nanousd</" in page.text:
            faults.append(f"{model._meta.label}: {page.context['original']}")
    assert faults == [], "\n".join(faults)


@pytest.mark.parametrize("name", OWN_PAGES)
def test_a_page_of_our_own_asks_few_questions(operator_client, filled, name):
    asked = queries_of(operator_client, reverse(name))
    assert len(asked) <= MORE.get(name, (MOST, ""))[0], "\n".join(sql[:150] for sql in asked)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_no_list_counts_its_table_or_sorts_a_long_one_without_an_index(model):
    page = admin.site._registry[model]
    assert isinstance(page, ListAdmin), "let it be a core.console.ListAdmin"
    assert page.show_full_result_count is False
    if isinstance(page, LongList):
        assert not page.sortable_by
