"""The search over what a member can open: pages, actions, styles, API keys, docs, operations of the API."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from adapters.public import list_styles
from core.pages import render_page_or_part
from tenants.access import MemberRequest, member_required
from tenants.models import ApiKey
from tenants.roles import Permission, allows
from website import api_schema, guides

# The main navigation: the sidebar, the tab bar of phones, the search and the keyboard shortcuts show it.


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
            Page(
                "drafts:drafts",
                _("Write"),
                "pen-line",
                "r",
                below=("drafts:",),
                permission=Permission.WRITE_TEXT,
                is_tab=True,
            ),
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
                _("Compare"),
                "columns-2",
                "p",
                below=("inference:",),
                permission=Permission.WRITE_TEXT,
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


MAX_QUESTION = 100  # characters
MAX_STYLES = 6
MAX_KEYS = 4
MAX_SECTIONS = 5
MAX_OPERATIONS = 5


@dataclass(frozen=True)
class Result:
    """Something to open. A style's `mark` is what its picture is made of; all others have an icon.

    One with a `theme` has no address: a script sets the theme.
    """

    label: str
    url: str = ""
    note: str = ""
    icon: str = ""
    mark: str = ""
    theme: str = ""


@dataclass(frozen=True)
class Action:
    """Something that a member does often. `words` are what people search for besides its label."""

    label: Promise
    words: Promise
    icon: str
    view_name: str
    permission: Permission
    fragment: str = ""


@dataclass(frozen=True)
class FurtherPage:
    """A page of our own that the navigation doesn't list. `words` are what people search for besides."""

    label: Promise
    words: Promise
    icon: str
    view_name: str
    permission: Permission = Permission.READ
    is_of_training: bool = False


FURTHER_PAGES = (
    FurtherPage(
        _("Invoices"), _("invoice bill receipt PDF"), "receipt", "billing:invoices", Permission.READ_BILLING
    ),
    FurtherPage(
        _("Billing details"),
        _("address tax VAT company"),
        "receipt",
        "billing:billing_details",
        Permission.MANAGE_BILLING,
    ),
    FurtherPage(_("Plans and prices"), _("cost tokens price"), "layers", "billing:prices"),
    FurtherPage(_("Trainings"), _("training train texts"), "feather", "training:list", is_of_training=True),
    FurtherPage(_("Requests"), _("log history"), "list", "billing:requests"),
    FurtherPage(_("Verify a text"), _("watermark check receipt"), "shield-check", "provenance:verify"),
    FurtherPage(_("Notifications"), _("mail email notices"), "mail", "events:notices"),
    FurtherPage(_("Account settings"), _("account password name language delete"), "user", "website:account"),
    FurtherPage(_("Two-step login"), _("two-factor 2FA passkey security"), "shield", "mfa_index"),
    FurtherPage(_("Status"), _("outage health"), "activity", "status"),
)

THEMES = (
    ("system", "monitor", _("Theme: system")),
    ("light", "sun", _("Theme: light")),
    ("dark", "moon", _("Theme: dark")),
)
THEME_WORDS = _("appearance color colour mode display")

ACTIONS = (
    Action(
        _("Make a style from your writing"),
        _("train own texts novel voice new"),
        "feather",
        "training:new",
        Permission.CHANGE_STYLES,
    ),
    Action(_("Upload a style"), _("adapter LoRA new"), "upload", "adapters:upload", Permission.CHANGE_STYLES),
    Action(
        _("Create an API key"),
        _("token secret new"),
        "key-round",
        "keys:keys",
        Permission.MAKE_KEYS,
        "create-key",
    ),
    Action(
        _("Invite a person"),
        _("member colleague team add"),
        "user-plus",
        "accounts:team",
        Permission.MANAGE_MEMBERS,
        "invite",
    ),
    Action(
        _("Create a webhook"),
        _("endpoint event new"),
        "webhook",
        "events:webhooks",
        Permission.MANAGE_WEBHOOKS,
        "create-webhook",
    ),
    Action(
        _("Set a monthly budget"),
        _("limit cap spend cost"),
        "wallet",
        "billing:usage",
        Permission.MANAGE_BILLING,
    ),
    Action(
        _("Change the plan"),
        _("upgrade downgrade price"),
        "layers",
        "billing:plan",
        Permission.MANAGE_BILLING,
    ),
    Action(
        _("Add credits"),
        _("pay money top up card"),
        "credit-card",
        "billing:credits",
        Permission.MANAGE_BILLING,
    ),
    Action(_("Find a request"), _("log error refused id"), "list", "billing:requests", Permission.READ),
    Action(
        _("Read the audit log"),
        _("history changes who"),
        "history",
        "tenants:audit_log",
        Permission.READ_AUDIT_LOG,
    ),
    Action(_("Log out"), _("sign out leave"), "log-out", "account_logout", Permission.READ),
)


@require_GET
@member_required
def search(request: MemberRequest) -> HttpResponse:
    """Show what a search finds; the list alone for the dialog."""
    question = request.GET.get("q", "").strip()[:MAX_QUESTION]
    groups = [(title, results) for title, results in find(request, question) if results]
    return render_page_or_part(request, "search.html", {"question": question, "groups": groups})


def find(request: MemberRequest, question: str) -> list[tuple[str, list[Result]]]:
    """Return title and results of each group, our own pages first; without a question, pages and actions."""
    groups = [
        (gettext("Pages"), _find_pages(request, question)),
        (gettext("Actions"), _find_actions(request, question)),
    ]
    if question:
        groups.append((gettext("Styles"), _find_styles(request, question)))
        groups.append((gettext("API keys"), _find_keys(request, question)))
        groups.append((gettext("Docs"), _find_sections(question)))
        groups.append((gettext("API operations"), _find_operations(question)))
    return groups


def _find_pages(request: MemberRequest, question: str) -> list[Result]:
    pages = [page for group in GROUPS for page in group.pages if allows(request.role, page.permission)]
    found: list[Page | FurtherPage] = [page for page in pages if _has(question, str(page.label))]
    if question:
        found += _find_further_pages(request, question)
    return [Result(str(page.label), reverse(page.view_name), icon=page.icon) for page in found]


def _find_further_pages(request: MemberRequest, question: str) -> list[FurtherPage]:
    found = []
    for page in FURTHER_PAGES:
        is_open = allows(request.role, page.permission) and (settings.TRAINING or not page.is_of_training)
        if is_open and _has(question, f"{page.label} {page.words}"):
            found.append(page)
    return found


def _find_actions(request: MemberRequest, question: str) -> list[Result]:
    allowed = [action for action in ACTIONS if allows(request.role, action.permission)]
    found = [action for action in allowed if _has(question, f"{action.label} {action.words}")]
    results = []
    for action in found:
        url = reverse(action.view_name) + (f"#{action.fragment}" if action.fragment else "")
        results.append(Result(str(action.label), url, icon=action.icon))
    if question:
        for theme, icon, label in THEMES:
            if _has(question, f"{label} {THEME_WORDS}"):
                results.append(Result(str(label), icon=icon, theme=theme))
    return results


def _has(question: str, text: str) -> bool:
    """Return whether each word of a question begins a word of a text."""
    words = text.casefold().split()
    return all(any(word.startswith(term) for word in words) for term in question.casefold().split())


def _find_styles(request: MemberRequest, question: str) -> list[Result]:
    results = []
    for style in list_styles(request.tenant, words=question).select_related("owner")[:MAX_STYLES]:
        shown = style.show_to(request.tenant.pk)
        url = reverse("adapters:style", args=[style.owner.slug, style.slug])
        results.append(Result(shown.name, url, note=style.model_name, mark=style.model_name))
    return results


def _find_keys(request: MemberRequest, question: str) -> list[Result]:
    found = ApiKey.objects.shown().filter(tenant=request.tenant).search(question).live_first(timezone.now())
    url = reverse("keys:keys")
    return [
        Result(key.name, f"{url}?q={key.last4}", note=f"…{key.last4}", icon="key-round")
        for key in found[:MAX_KEYS]
    ]


def _find_sections(question: str) -> list[Result]:
    return [
        Result(section.title, section.url, note=section.guide, icon="book-open")
        for section in guides.find_sections(question)[:MAX_SECTIONS]
    ]


def _find_operations(question: str) -> list[Result]:
    results = []
    for path, methods in api_schema.document()["paths"].items():
        for method, operation in methods.items():
            call = f"{method.upper()} {path}"
            words = f"{operation['summary']} {operation['operationId']} {call} {path.replace('/', ' ')}"
            if _has(question, words):
                url = api_schema.reference_address(operation)
                results.append(Result(operation["summary"], url, note=call, icon="braces"))
    return results[:MAX_OPERATIONS]
