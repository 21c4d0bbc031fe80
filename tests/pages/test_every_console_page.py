"""Every page of the operators' console, in a real Chromium: accessible in both themes, and silent.

The pages come from the console's own URLconf, each list with rows in it. walking.py says how it looks.
"""

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import URLPattern, URLResolver, reverse
from playwright.sync_api import Page, ViewportSize

from adapters.models import Engine
from tenants.models import Tenant
from tests.operations.console_rows import Rows
from tests.pages.builders import is_whole_page
from tests.pages.walking import (
    FORMS,
    PHONE,
    WIDE,
    Axe,
    Fault,
    assert_no_faults,
    check_state,
    enter,
    hear_errors,
    send_empty,
)

ROWS = 2  # of each list
SHOWN = ("changelist", "add", "change", "history")
OF_A_MODEL = (*SHOWN, "delete")  # operators delete nothing
APPS = ("tenants", "events", "metering", "operations", "adapters", "billing", "auth")
REFUSED = ("metering_pricebook_add", "adapters_engine_add")
ENDS = tuple(f"_{model._meta.model_name}_{page}" for model in admin.site._registry for page in OF_A_MODEL)
# What is no page of its own: parts of pages, files, and addresses that only take a form.
OF_DJANGO = {"search", "login", "logout", "autocomplete", "jsi18n", "view_on_site"}
OURS = {
    "tenants_tenant_end_impersonation",
    "tenants_auditentry_export",
    "workspace_erasure",
    "metering_invoice_credit",
}
PASSWORDS = {"auth_user_password_change", "password_change"}  # people reset their own, on everybody's page
NO_PAGES = OF_DJANGO | OURS | PASSWORDS
# Transitions would let axe measure colours half way from one theme to the other.
STILL = "*, ::before, ::after { transition: none !important; animation: none !important; }"
SET_THEME = "theme => { Alpine.$data(document.documentElement).adminTheme = theme; }"
READY = "window.Alpine && !document.documentElement.hasAttribute('x-cloak')"


def names_of(patterns: list[URLPattern | URLResolver]) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of each address of the console, with its arguments."""
    for entry in patterns:
        if isinstance(entry, URLResolver):
            yield from names_of(entry.url_patterns)
        elif entry.name:
            yield entry.name, list(entry.pattern.converters)


def addresses_of_models(rows: Rows, page: str) -> Iterator[str]:
    """Yield one page of each model; those of one row are its first row's."""
    for model in admin.site._registry:
        arguments = [] if page in ("changelist", "add") else [rows.of(model)[0].pk]
        yield address_of(model, page, *arguments)


def address_of(model: type[Model], page: str, *arguments: object) -> str:
    return reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_{page}", args=arguments)


def own_addresses(rows: Rows) -> Iterator[str]:
    """Yield the pages that are not a model's."""
    known = {"tenant_id": rows.of(Tenant)[0].pk, "engine_id": rows.of(Engine)[0].pk}
    for name, arguments in names_of(admin.site.get_urls()):
        if name in NO_PAGES or name.endswith(ENDS):
            continue
        if name == "app_list":
            yield from (reverse("admin:app_list", args=[app]) for app in APPS)
            continue
        yield reverse(f"admin:{name}", kwargs={argument: known[argument] for argument in arguments})


@pytest.fixture
def rows(db, valkey) -> Rows:
    rows = Rows(ROWS)
    rows.of_all_lists()
    return rows


def opens(client: Client, address: str) -> bool:
    return client.get(address).status_code == 200 and is_whole_page(client, address)


@pytest.fixture
def page(operator_client: Client, live_server, browser) -> Iterator[Page]:
    """Yield a page of an operator's browser. What its console says is a fault."""
    context = enter(browser, live_server, operator_client, reduced_motion="reduce")
    page = context.new_page()
    said = hear_errors(page)
    yield page
    context.close()
    assert said == []


def test_pages_that_are_no_models_are_accessible_and_silent(rows, operator_client, page):
    addresses = [*own_addresses(rows), f"{reverse('admin:tenants_auditentry_changelist')}?q=nothing"]
    assert all(opens(operator_client, address) for address in addresses)
    look_at_all(page, addresses)


@pytest.mark.parametrize("kind", SHOWN)
def test_pages_of_all_models_are_accessible_and_silent(kind, rows, operator_client, page):
    addresses = list(addresses_of_models(rows, kind))
    allowed = [address for address in addresses if opens(operator_client, address)]
    assert allowed
    if kind == "changelist":
        assert allowed == addresses
    look_at_all(page, allowed)


def look_at_all(page: Page, addresses: list[str]) -> None:
    faults = []
    for address in addresses:
        faults += check_state(open_page(page, address), address)
    assert_no_faults(*faults)


@pytest.mark.usefixtures("rows")
def test_what_opens_on_top_of_pages_is_accessible_and_silent(page):
    faults = [*look_at_a_list(page, WIDE), *look_at_a_list(page, PHONE), *look_at_an_action(page)]
    for name in REFUSED:
        axe = open_page(page, reverse(f"admin:{name}"))
        assert page.evaluate(f"{FORMS}.length")
        send_empty(page, 0)
        page.wait_for_function(READY)
        faults += axe.whole(f"{name} sent empty")
    assert_no_faults(*faults)


def look_at_a_list(page: Page, size: ViewportSize) -> list[Fault]:
    """Return what axe has against the menus and filters of a list."""
    axe = open_page(page, reverse("admin:adapters_style_changelist"))
    page.set_viewport_size(size)
    page.get_by_role("button", name="Filters").click()
    faults = axe.whole("filters")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Menu", exact=True).click()
    faults += axe.unseen("menu")
    page.locator(".console-user").click()
    return faults + axe.unseen("account")


def look_at_an_action(page: Page) -> list[Fault]:
    """Return what axe has against a chosen row, and against what asks whether it is meant."""
    axe = open_page(page, reverse("admin:tenants_tenant_changelist"))
    page.locator("input.action-select").first.check()
    faults = axe.whole("a chosen row")
    page.locator("select[name=action]").select_option("suspend")
    with page.expect_navigation():
        page.locator("button[name=index]").click()
    page.wait_for_function(READY)
    return faults + axe.whole("a confirmation")


def open_page(page: Page, address: str) -> Axe:
    page.set_viewport_size(WIDE)
    page.goto(address, wait_until="load")
    page.wait_for_function(READY)
    page.add_style_tag(content=STILL)
    page.evaluate(SET_THEME, "light")
    return Axe(page, set_theme=lambda theme: page.evaluate(SET_THEME, theme))
