"""German is whole: nothing of a page stays in English, and browser and setting choose."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Message
from django.contrib.humanize.templatetags.humanize import intcomma
from django.urls import reverse
from django.utils import translation
from django.utils.safestring import SafeData, mark_safe
from django.utils.translation import trans_real

from core.money import NANO, dollars, usd
from tests.config.addresses import ALL, API, address_of
from website import catalogs

GERMAN = {"Accept-Language": "de"}
TAG = re.compile(r"</?\w+|&\w+;")
PERCENT = re.compile(r"%\(\w+\)[sd]|%%")

# Whole addresses that are no messages: guides (test_guide_translations.py) and what is for programs.
ENGLISH = {"guides", "guide", "guide_file", "api_reference", "api_schema", "mail_html", "mailbox"}
VISITORS = ["home", "account_login", "account_signup", "account_reset_password", "status", "billing:prices"]
LEGAL = ["terms", "privacy"]
ACCOUNTS = ["account_email", "account_change_password", "mfa_index", "account_logout", "usersessions_list"]
SHOWN = {"aria-label", "title", "placeholder", "alt", "data-label", "content"}
SILENT = {"script", "style", "code", "pre", "kbd", "svg", "textarea"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
WORD = re.compile(r"[A-Za-z]{2,}")
# Data, names and codes: the same in every language.
SAME = re.compile(
    r"[\w.+-]+@[\w.-]+|https?://\S+|[\w-]+/[\w@/-]+|/\w+|sk-ps-\S*|…\w+|[a-z_]+[.:][a-z_]+|(PS|CN|PAY)-\w+|req_(…|[0-9a-f]{32})"
    r"|[0-9a-f]{8}-[0-9a-f-]{27}|CC0? [\w .-]+|Apache-2.0|Describe a morning in the city\."
    r"|Haitian Creole|Norwegian( Bokmal)?"  # Django does not translate these names of languages
    r"|\b(Polyscribe|API|UTC|LoRA|JSON|CSV|PDF|GB|MB|kB|MIT|Python|JavaScript|curl|English|Deutsch|Acme|Third|Secret"
    r"|Free|Studio|Writer|acme|third|secret|laptop|charlie\S*|noir-detective|my-voice|riverside|poetry|newsletter|webhook-id"
    r"|inference|admin|base|SmolLM\S*)\b"
)


def messages() -> Iterator[tuple[str, Message]]:
    for path in sorted(catalogs.LOCALE.glob("*/LC_MESSAGES/*.po")):
        language = path.parents[1].name
        for message in catalogs.read_messages(path.read_bytes(), language):
            yield f"{path.stem}: {message.id}", message


def placeholders(text: str) -> list[str]:
    """Return what is filled in, and the markup, in any order."""
    try:
        names = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError:  # braces that are no placeholders
        names = []
    return sorted([*names, *PERCENT.findall(text), *TAG.findall(text)])


@pytest.mark.parametrize("language", catalogs.languages())
def test_every_message_of_the_sources_is_translated(language):
    drift = catalogs.compare(language)
    assert [path.name for path in drift.outdated] == [], "run `make translations`"
    assert drift.open == []


def test_translations_have_the_placeholders_and_the_markup_of_their_messages():
    wrong = []
    for name, message in messages():
        known = [placeholders(text) for text in texts_of(message.id)]
        # A form for one thing may say "one" instead of the number.
        wrong += [name for text in texts_of(message.string) if placeholders(text) not in known]
    assert wrong == []


def texts_of(message: str | tuple[str, ...] | list[str]) -> list[str]:
    return [message] if isinstance(message, str) else list(message)


class Texts(HTMLParser):
    """The texts of a page that people see or hear."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.attributes: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self._open.append(tag)
        known = dict(attrs)
        if tag == "meta":
            return
        if tag == "input" and known.get("type") == "submit":
            self.attributes.append(known.get("value") or "")
        self.attributes += [value for name, value in attrs if name in SHOWN and value and tag != "meta"]

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not SILENT & set(self._open):
            self.texts.append(data)


def english_of(page: str) -> list[str]:
    """Return what of a page's texts stands outside of ⟦translations⟧, and is a word."""
    parser = Texts()
    parser.feed(page)
    rests = outside(parser.texts)
    for attribute in parser.attributes:
        rests += outside([attribute])
    rests = [SAME.sub("", rest) for rest in rests]
    return sorted({" ".join(rest.split()) for rest in rests if WORD.search(rest)})


def outside(texts: list[str]) -> list[str]:
    """Return texts without what stands in brackets. A message with markup is several texts."""
    depth = 0
    kept = []
    for text in texts:
        rest = ""
        for character in text:
            depth += character == "⟦"
            rest += character if not depth else ""
            depth -= character == "⟧"
        kept.append(rest)
    return kept


@pytest.fixture
def marked(monkeypatch) -> None:
    """Put brackets around each message that the German catalogues have."""
    known = trans_real.translation("de")._catalog

    def mark(key: object, text: str) -> str:
        marked = f"⟦{text}⟧" if key in known else text
        return mark_safe(marked) if isinstance(text, SafeData) else marked

    def gettext(message: str) -> str:
        return mark(str(message), message) if message else ""

    def ngettext(one: str, many: str, number: int) -> str:
        return mark((one, 0), one if number == 1 else many)

    def pgettext(context: str, message: str) -> str:
        return mark(f"{context}\x04{message}", message)

    monkeypatch.setattr(translation._trans, "pgettext", pgettext)
    monkeypatch.setattr(translation._trans, "gettext", gettext)
    monkeypatch.setattr(translation._trans, "ngettext", ngettext)


def addresses(of_acme: dict[str, object]) -> Iterator[str]:
    for name in ALL:
        if not name.startswith(API) and name not in ENGLISH:
            yield address_of(name, of_acme)
    for name in [*VISITORS, *LEGAL, *ACCOUNTS]:
        yield reverse(name)
    yield "/there-is-nothing-here/"


@pytest.mark.django_db
@pytest.mark.usefixtures("valkey", "marked")
def test_no_page_of_the_studio_shows_a_text_that_is_not_translated(client, alice_client, of_acme, settings):
    for name in ("OPERATOR_NAME", "OPERATOR_ADDRESS", "OPERATOR_EMAIL", "OPERATOR_LAW"):
        setattr(settings, name, "Acme")
    seen = 0
    untranslated: dict[str, list[str]] = {}
    for who in (alice_client, client):
        for address in addresses(of_acme):
            answer = who.get(address, headers=GERMAN)
            if answer.streaming or "text/html" not in answer.headers.get("Content-Type", ""):
                continue
            seen += 1
            for text in english_of(answer.text):
                untranslated.setdefault(text, []).append(address)
    assert seen > 50
    assert untranslated == {}, "\n".join(f"{text!r}: {where[:3]}" for text, where in untranslated.items())


@pytest.mark.django_db
def test_the_browser_chooses_the_language_and_the_setting_before_it(client, alice, alice_client):
    page = reverse("account_login")
    answer = client.get(page, headers=GERMAN)
    assert answer.headers["Content-Language"] == "de"
    assert "Accept-Language" in answer.headers["Vary"]
    assert '<html lang="de">' in answer.text
    assert "Anmelden" in answer.text
    assert client.get(page).headers["Content-Language"] == "en"
    assert client.get(page, headers={"Accept-Language": "fr, de;q=0.5"}).headers["Content-Language"] == "de"

    alice.language = "en"
    alice.save()
    assert '<html lang="en">' in alice_client.get(reverse("keys:keys"), headers=GERMAN).text
    alice.language = "de"
    alice.save()
    assert '<html lang="de">' in alice_client.get(reverse("keys:keys")).text


@pytest.mark.django_db
def test_programs_are_answered_in_english(client):
    answer = client.get("/api/v1/styles", headers=GERMAN)
    assert answer.json()["title"] == "Authentication required"
    assert "Content-Language" not in answer.headers


def test_numbers_and_money_are_written_as_in_the_language_and_for_programs_as_ever():
    with translation.override("de"):
        assert usd(1_234 * NANO + 500_000_000) == "1.234,50\u00a0$"
        assert usd(-NANO) == "-1,00\u00a0$"
        assert intcomma(1_234_567) == "1.234.567"
        assert dollars(1_234 * NANO) == "1234.00"
    assert usd(1_234 * NANO + 500_000_000) == "$1,234.50"


@pytest.mark.django_db
@pytest.mark.usefixtures("valkey")
def test_numbers_in_fields_stay_readable_for_browsers(alice_client):
    alice_client.get(reverse("keys:keys"))
    page = alice_client.get(reverse("inference:playground"), headers=GERMAN).text
    values = re.findall(r'type="number"[^>]*? (?:value|min|max|step)="([^"]*)"', page)
    assert values
    assert all(re.fullmatch(r"-?\d*(\.\d+)?|any", value) for value in values)


def test_scripts_get_their_words_in_the_language_of_the_page(client):
    answer = client.get(reverse("script_words", args=["de"]))
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert "max-age=3600" in answer.headers["Cache-Control"]
    assert '"Copied": "Kopiert"' in answer.text
    assert client.get(reverse("script_words", args=["xx"])).status_code == 404


def test_style_sheets_say_nothing():
    sheets = list(Path("static/css").glob("*.css"))
    assert sheets
    assert [path.name for path in sheets if re.search(r'content: "\w\w', path.read_text())] == []


def test_scripts_say_nothing_that_is_not_extracted():
    """A text in a script is a call of gettext, or it is no text for people."""
    sentence = re.compile(r"[\"'`][A-Z][a-z]+ [a-z]+[^\"'`]*[\"'`]")
    found = []
    for path in sorted(Path("static/js").rglob("*.js")):
        for line in path.read_text().splitlines():
            code = re.sub(r"gettext\((\"(?:[^\"\\]|\\.)*\")\)", "", line.partition("//")[0])
            found += [f"{path.name}: {text}" for text in sentence.findall(code)]
    assert found == []
