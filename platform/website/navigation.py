"""The main navigation: the sidebar, the tab bar of phones, the search and the keyboard shortcuts show it."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tenants.roles import Permission


@dataclass(frozen=True)
class Page:
    """A page of the navigation. `below` has the beginnings of the view names of the pages below it."""

    view_name: str
    label: Promise
    icon: str
    key: str  # after `g`
    below: tuple[str, ...] = ()
    permission: Permission = Permission.READ
    is_tab: bool = False  # of a phone

    def current_at(self, view_name: str) -> str:
        """Return the value of `aria-current` on a page: "page", "true" on one below, or ""."""
        if view_name == self.view_name:
            return "page"
        return "true" if view_name.startswith(self.below) else ""


@dataclass(frozen=True)
class Group:
    """Pages under a title."""

    title: Promise
    pages: tuple[Page, ...]


@dataclass(frozen=True)
class Link:
    """A page of the navigation as another page shows it."""

    page: Page
    current: str


KEYS = ("keys:issue_key", "keys:limit_key", "keys:rotate_key", "keys:revoke_key")
INVOICES = ("billing:invoice", "billing:credit", "billing:pay", "billing:plan", "billing:change_plan")
MONEY = (*INVOICES, "billing:keep_plan", "billing:top_up", "billing:auto_top_up", "billing:billing_details")
TEAM = ("accounts:member", "accounts:invite", "accounts:change_role", "tenants:audit_")
ACCOUNT = ("website:account", "website:delete", "events:notices", "account_", "mfa_", "usersessions")

GROUPS = (
    Group(
        _("Writing"),
        (
            Page("member_home", _("Home"), "house", "h", below=("welcome", "home_developers"), is_tab=True),
            Page(
                "adapters:catalogue",
                _("Styles"),
                "library",
                "s",
                below=("adapters:", "training:"),
                is_tab=True,
            ),
            Page(
                "inference:playground",
                _("Write"),
                "pen-line",
                "p",
                below=("inference:",),
                permission=Permission.WRITE_TEXT,
                is_tab=True,
            ),
        ),
    ),
    Group(
        _("Build"),
        (
            Page("keys:keys", pgettext_lazy("menu", "API keys"), "key-round", "k", below=KEYS, is_tab=True),
            Page(
                "events:webhooks",
                _("Webhooks"),
                "webhook",
                "w",
                below=("events:webhook",),
                permission=Permission.READ_WEBHOOKS,
            ),
            Page("guides", _("Docs"), "book-open", "d", below=("guide", "api_reference")),
        ),
    ),
    Group(
        _("Workspace"),
        (
            Page(
                "billing:usage",
                _("Usage"),
                "gauge",
                "u",
                below=("billing:request", "billing:set_budget"),
                is_tab=True,
            ),
            Page(
                "billing:invoices",
                _("Billing"),
                "receipt",
                "i",
                below=(*MONEY, "billing:earnings", "billing:prices"),
                permission=Permission.READ_BILLING,
            ),
            Page("accounts:team", _("Team"), "users", "t", below=TEAM),
            Page("website:settings", _("Settings"), "settings", "e", below=ACCOUNT),
        ),
    ),
)


def list_groups(view_name: str, may: Mapping[str, bool]) -> list[tuple[Promise, list[Link]]]:
    """Return title and links of each group, as a page shows them to a person with these rights.

    `may` has a truth for each permission, by its name in lower case.
    """
    groups = []
    for group in GROUPS:
        shown = [page for page in group.pages if may[page.permission.name.lower()]]
        groups.append((group.title, [Link(page, page.current_at(view_name)) for page in shown]))
    return groups
