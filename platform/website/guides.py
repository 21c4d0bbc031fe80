"""The guides of docs/, rendered once a process and language: pages with anchors, and links between them.

The files are part of the release, so nothing here asks a database. Raw HTML in them is shown as text. A guide
without a translation is shown in English.
"""

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import get_language, override
from django.utils.translation import gettext_lazy as _
from markdown_it.token import Token

from website import guide_markdown
from website.guide_markdown import Section
from website.guide_translations import original_of, translated_guides, translation_of

GETTING_STARTED = {
    "getting-started": "docs/getting-started.md",
    "styles": "docs/styles.md",
    "editors": "docs/editors.md",
}
OWN_STYLE = {
    "training": "docs/training.md",
    "adapters": "docs/adapters.md",
    "probing": "docs/probing.md",
    "evidence": "docs/evidence.md",
}
API = {
    "writing-with-the-api": "docs/api.md",
    "command-line": "docs/cli.md",
    "mcp": "docs/mcp.md",
    "fine-tuning": "docs/fine-tuning.md",
    "provenance": "docs/provenance.md",
}
WORKSPACE = {
    "sharing": "docs/sharing.md",
    "billing": "docs/billing.md",
    "team": "docs/team.md",
}
OPERATORS = {
    "running": "docs/running.md",
    "settings": "docs/settings.md",
    "watching": "docs/watching.md",
    "security": "docs/security.md",
    "reporting-a-vulnerability": "SECURITY.md",
    "retention": "docs/retention.md",
    "architecture": "docs/architecture.md",
    "capacity": "docs/capacity.md",
    "scaling": "docs/scaling.md",
    "performance": "docs/performance.md",
    "benchmarks": "dev/bench/README.md",
    "licences": "docs/licences.md",
}
OF_TRAINING = ("training", "fine-tuning")
SHELVES = (
    (_("Start here"), GETTING_STARTED),
    (_("Make your own style"), OWN_STYLE),
    (_("API"), API),
    (_("Your workspace"), WORKSPACE),
    (_("For operators"), OPERATORS),
)
SUMMARIES = {
    "getting-started": _("Try the styles, write with them and call one from a program."),
    "styles": _("What each style that comes with Polyscribe sounds like, on the same questions."),
    "editors": _(
        "Use your styles in Obsidian, LibreOffice, VS Code, Open WebUI and LibreChat, step by step."
    ),
    "training": _("Which texts help, what a training costs, how long it takes and who can read your texts."),
    "adapters": _("Upload a LoRA adapter you trained: its format, the checks and how to fix what they find."),
    "probing": _("How we measure what a style changes, what its style card shows and how versions compare."),
    "evidence": _("What the four figures on a style's evidence card mean and how they are measured."),
    "writing-with-the-api": _(
        "Endpoints, streaming, limits, billing, errors and webhooks, with programs to paste."
    ),
    "command-line": _("Push, release and try styles from a terminal or a training script."),
    "mcp": _("Write with your styles in Claude, Cursor, VS Code and LM Studio: what to paste where."),
    "fine-tuning": _("Use your files and code for OpenAI's fine-tuning: only address, key and model change."),
    "provenance": _("The watermark in generated text, receipts, and how to verify where a text came from."),
    "sharing": _("Share a style with a workspace or everyone, set a price, stop sharing and erase it."),
    "billing": _(
        "How a request becomes a line of an invoice: prices, plans, credits, payments and earnings."
    ),
    "team": _("Roles, invitations, several workspaces, the audit log and deleting an account."),
    "running": _("From a demo on one machine to production: installation, upgrades, backups and secrets."),
    "settings": _("Every environment variable, with its default."),
    "watching": _("Metrics, alerts and what to do about each, logs, health checks and the doctor."),
    "security": _("Trust boundaries, known threats and the test behind each promise."),
    "reporting-a-vulnerability": _("How to tell us about a vulnerability, and what happens then."),
    "retention": _("What is stored, for how long and what deletes it."),
    "architecture": _("The programs, the packages and the path of a request, an upload and a training."),
    "capacity": _("How many styles fit on an engine and how much memory they need."),
    "scaling": _("From one machine to many: what to add, when, and how much it helps."),
    "performance": _("The gateway's overhead and the engine's speed, measured."),
    "benchmarks": _("How to repeat the measurements, and what each compares."),
    "licences": _("The components of an installation and their licences."),
}


# What guides that are not translated are called on a shelf, in the reader's language.
NAMES = {
    "evidence": _("Evidence"),
    "writing-with-the-api": _("The API"),
    "command-line": _("The command line and the Python client"),
    "mcp": _("Styles in Claude, Cursor and other assistants (MCP)"),
    "fine-tuning": _("Coming from OpenAI's fine-tuning"),
    "provenance": _("Provenance: where a text came from"),
}


@dataclass(frozen=True)
class Guide:
    """One page of the docs, in one language."""

    slug: str
    path: str
    language: str
    summary: str | Promise
    html: SafeString
    sections: tuple[Section, ...]

    @property
    def title(self) -> str:
        return self.sections[0].title

    @property
    def name(self) -> str:
        """The title on a shelf, whose other words are in the reader's language."""
        return str(NAMES.get(self.slug, self.title)) if self.is_foreign else self.title

    @property
    def url(self) -> str:
        return reverse("guide", args=[self.slug])

    @property
    def headings(self) -> list[Section]:
        """The headings that the page lists: those of the second and third level."""
        return [section for section in self.sections if section.level in (2, 3)]

    @property
    def is_foreign(self) -> bool:
        """Whether its language is not the active one."""
        return self.language != active_language()


@dataclass(frozen=True)
class Shelf:
    """The guides for one purpose."""

    title: str | Promise
    guides: tuple[Guide, ...]
    has_reference: bool  # whether the API reference stands before them
    is_for_operators: bool


@cache
def guide_paths() -> dict[str, str]:
    """Return slug → path from the project's root of every guide.

    Where no styles are trained, the guides to that are left out, and links to them become text.
    """
    paths: dict[str, str] = {}
    for _title, shelf in SHELVES:
        paths |= shelf
    if not settings.TRAINING:
        for slug in OF_TRAINING:
            del paths[slug]
    return paths


def load_guide(slug: str) -> Guide | None:
    """Return a guide in the active language, else in English; None where there is none by this name."""
    return _load_guide(slug, active_language()) if slug in guide_paths() else None


def shelves() -> list[Shelf]:
    """Return the guides by what they are for."""
    filled = []
    for title, shelf in SHELVES:
        filled.append(
            Shelf(
                title,
                _load_all(shelf),
                has_reference=shelf is API,
                is_for_operators=shelf is OPERATORS,
            )
        )
    return filled


def list_guides(language: str) -> list[Guide]:
    """Return every guide, in a language where it is translated."""
    return [_load_guide(slug, language) for slug in guide_paths()]


def active_language() -> str:
    """Return the language in which the reader sees the site."""
    return get_language() or settings.LANGUAGE_CODE


def _load_all(slugs: Iterable[str]) -> tuple[Guide, ...]:
    return tuple(_load_guide(slug, active_language()) for slug in slugs if slug in guide_paths())


@cache
def _load_guide(slug: str, language: str) -> Guide:
    """Return a guide in a language, else in English. Guides change only with a release."""
    path = guide_paths()[slug]
    if path in translated_guides(language):
        return _read_guide(slug, translation_of(path, language), language)
    return _read_guide(slug, path)


def _read_guide(slug: str, path: str, language: str = settings.LANGUAGE_CODE) -> Guide:
    tokens = _parse_file(path, language)
    guide_markdown.rewrite_links(tokens, lambda link: _address_of(link, path, language))
    with override(language):
        html = guide_markdown.render(tokens)
    return Guide(
        slug=slug,
        path=path,
        language=language,
        summary=SUMMARIES.get(slug, ""),
        html=html,
        sections=tuple(guide_markdown.split_sections(tokens)),
    )


def _parse_file(path: str, language: str) -> list[Token]:
    """Return a file's tokens. A translation has the anchors of the English text, by position."""
    text = (settings.BASE_DIR / path).read_text()
    original = original_of(path, language)
    if original == path:
        return guide_markdown.parse(text)
    anchors = guide_markdown.list_anchors(_parse_file(original, language))
    return guide_markdown.parse(text, anchors=anchors)


def _address_of(link: str, path: str, language: str) -> str:
    """Return where a link of a file leads on the site; "" for a file that is no page."""
    parts = urlsplit(link)
    if parts.scheme or not parts.path:
        return link
    target = original_of(posixpath.normpath(posixpath.join(posixpath.dirname(path), parts.path)), language)
    for slug, known in guide_paths().items():
        if known == target:
            fragment = f"#{parts.fragment}" if parts.fragment else ""
            return reverse("guide", args=[slug]) + fragment
    return ""
