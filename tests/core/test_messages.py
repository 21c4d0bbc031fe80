"""What is stored is a code and its facts; the sentence is made when somebody reads it."""

import importlib
import json
import pkgutil
import subprocess
import sys
from functools import cache
from itertools import product
from string import Formatter

import pytest
from django.utils.translation import gettext, override

from adapters.errors import EngineUnavailable, Finding, NotTheCheckedFile
from adapters.models import ShareRefusal, UploadNote
from adapters.validation.problems import PROBLEMS, Reason
from billing.invoices.invoice_lines import LineText
from core.errors import DomainError
from core.messages import (
    MAX_FACT_CHARACTERS,
    Message,
    MessageCode,
    MessageDecoder,
    MessageEncoder,
    code_of,
    descendants,
    read_message,
    write_message,
)
from events.models import WebhookEndpoint
from events.webhooks.delivery import DeliveryFault
from events.webhooks.endpoints import DisabledReason
from inference.errors import EngineUnavailable as ModelServerUnavailable
from metering.credits import GrantReason
from stack.folders import ROOT

OURS = (
    "core",
    "tenants",
    "events",
    "metering",
    "accounts",
    "keys",
    "adapters",
    "inference",
    "billing",
    "website",
)  # commands alone say the rest
WEB_PROCESS = """
import config.asgi
from config.preloading import load_pages
from core.errors import DomainError
from core.messages import MessageCode, code_of, descendants
load_pages()
for codes in descendants(MessageCode):
    print(*(code.code for code in codes))
print(*map(code_of, descendants(DomainError)))
"""


@cache
def load_everything() -> None:
    """Import every module, as all processes together do."""
    for name in OURS:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            importlib.import_module(module.name)


def all_codes() -> list[MessageCode]:
    load_everything()
    members = []
    for codes in descendants(MessageCode):
        if codes.__module__.startswith(OURS):
            members += codes.__members__.values()
    return members


def all_errors() -> list[type[DomainError]]:
    load_everything()
    return [kind for kind in descendants(DomainError) if kind.__module__.startswith(OURS)]


def names_in(sentence: str) -> dict[str, str]:
    """Return the facts of a sentence → how each is written."""
    return {name: form or "" for _, name, form, _ in Formatter().parse(sentence) if name}


def stored(message: Message) -> Message:
    return read_message(write_message(message))


# What stands where a sentence wants a whole number, a fraction, and anything.
FACTS: list[tuple[int, float, int | str]] = [
    (0, 0.0, 0),
    (7, 9.5, "seven"),
    (999, 0.04, " ÄÖÜ\n\t😀\u202e "),
    (42, 2.25, "{braces} %(name)s \\ ' \" <b>"),
]


def facts_for(sentence: str, whole: int, fraction: float, text: int | str) -> dict[str, object]:
    facts: dict[str, object] = {}
    for name, form in names_in(sentence).items():
        facts[name] = fraction if form.endswith(("f", "g")) else whole if form else text
    return facts


def test_each_code_says_in_english_what_the_sentence_with_its_facts_said():
    faults = []
    for code, values in product(all_codes(), FACTS):
        facts = facts_for(code.value, *values)
        said = str(stored(code(**facts)))
        if said != code.value.format(**facts).strip():
            faults.append(f"{code.code} says {said!r}")
    assert faults == [], "\n".join(faults)


def test_each_error_says_once_stored_what_it_said():
    faults = []
    for kind in all_errors():
        sentence = " ".join((kind.__doc__ or "").split())
        facts = facts_for(sentence, 7, 7, "seven")
        said = str(stored(Message(code_of(kind), facts)))
        if said != kind.describe(facts) or "{" in said:
            faults.append(f"{kind.__module__}.{kind.__name__} says {said}")
    assert faults == [], "\n".join(faults)


def test_no_two_messages_have_one_code():
    codes = [code.code for code in {id(one): one for one in all_codes()}.values()]
    codes += [code_of(kind) for kind in all_errors()]
    assert sorted(codes) == sorted(set(codes))


@pytest.mark.parametrize(
    ("message", "german"),
    [
        (UploadNote.NO_ENGINE(), gettext),
        (Message.of(EngineUnavailable()), "Die Engine antwortet nicht"),
        (Message.of(ModelServerUnavailable()), "Der Modellserver antwortet"),
        (GrantReason.KEPT(period="2026-03"), "März 2026"),
        (ShareRefusal.REPEATS(percent=4.5, limit=1.0), "4,5 %"),
        (LineText.HOSTING(count=1_200), "Bereitstellung von 1.200 privaten Stilen"),
        (Finding("more", {"count": 1_234}).sentence_message, "1.234"),
        (
            Finding("config_not_json", {"reason": Reason.NESTED_DEEPLY()}).sentence_message,
            "zu tief verschachtelt",
        ),
        (DeliveryFault.FAILED_TOO_LONG(failure=DeliveryFault.NOT_TAKEN(status_code=500)), "500"),
    ],
)
def test_a_message_is_read_in_the_readers_language_with_its_facts(message, german):
    english = str(message)
    with override("de"):
        read = str(stored(message))
        assert (german if isinstance(german, str) else german(UploadNote.NO_ENGINE.value)) in read
        assert read != english
        assert stored(message).in_english() == english


def test_a_process_that_shows_pages_knows_what_every_worker_stores():
    done = subprocess.run([sys.executable, "-c", WEB_PROCESS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    stored_by_someone = {code.code for code in all_codes()} | {code_of(kind) for kind in all_errors()}
    assert stored_by_someone - set(done.stdout.split()) == set()


def test_what_a_person_wrote_is_never_translated():
    with override("de"):
        assert str(Message.of("Upload the adapter again.")) == "Upload the adapter again."
        assert str(Message.of("{braces} and Version 7 failed.")) == "{braces} and Version 7 failed."


def test_an_error_with_words_of_its_own_keeps_them():
    assert str(Message.of(EngineUnavailable("Out of order."))) == "Out of order."
    assert Message.of(EngineUnavailable(UploadNote.NO_ENGINE())) == UploadNote.NO_ENGINE()
    error = NotTheCheckedFile(file="adapter_config.json", request=object())
    assert Message.of(error).facts == {"file": "adapter_config.json"}


@pytest.mark.parametrize(
    ("old", "said"),
    [
        (
            Message("adapters.finding_sentence.rank_was_too_high", {"rank": 256, "limit": 64}),
            "Rank was too high (rank: 256, limit: 64)",
        ),
        (Message("gone.long_ago"), "Long ago"),
        (Message("tenants.delivery_fault.not_taken", {"status": 500}), "Not taken (status: 500)"),
        (
            Message("adapters.probe_fault.no_effect", {"strength": "weak", "least": 1}),
            "No effect (strength: weak, least: 1)",
        ),
    ],
)
def test_a_message_of_an_older_program_is_still_told(old, said):
    assert str(old) == said


def test_a_strangers_fact_is_short_and_fits_the_database():
    message = Message("gone", {"name": "\0\ud800" + "x" * 5_000})
    assert len(message.facts["name"]) == MAX_FACT_CHARACTERS
    assert "\0" not in message.facts["name"]
    assert json.dumps(message, cls=MessageEncoder).isascii()
    assert write_message(message).encode()


def test_messages_within_other_json_come_back():
    thing = {"failure": DeliveryFault.NOT_TAKEN(status_code=500), "note": Message(), "files": [{"code": "x"}]}
    read = json.loads(json.dumps(thing, cls=MessageEncoder), cls=MessageDecoder)
    assert read == {**thing, "note": ""}
    assert isinstance(read["failure"], Message)


def test_a_message_within_a_message_is_read_however_the_row_was_read():
    inner = {
        "code": LineText.INCLUDED.code,
        "facts": {"plan": "Free", "covered": 0, "tokens": 0},
    }
    row = {"code": NotTheCheckedFile.__name__, "facts": {"limit": inner}}
    assert "{" not in str(Message.read(row))
    assert Message.read(row).facts["limit"] == Message.read(inner)


def test_a_message_without_a_code_says_nothing():
    assert (str(Message()), bool(Message()), Message().as_json()) == ("", False, {})
    assert Message.of("") == Message()


@pytest.mark.django_db
def test_rows_keep_messages_and_find_them(acme):
    fault = DisabledReason.BY_OPERATOR(reason="Too fast.")
    WebhookEndpoint.objects.create(tenant=acme, url="https://a.example.org", disabled_reason=fault)
    WebhookEndpoint.objects.create(tenant=acme, url="https://b.example.org")
    assert WebhookEndpoint.objects.get(disabled_reason=fault).disabled_reason == fault
    assert WebhookEndpoint.objects.exclude(disabled_reason="").get().disabled_reason == fault
    assert WebhookEndpoint.objects.get(disabled_reason=Message()).disabled_reason == ""
    WebhookEndpoint.objects.filter(disabled_reason=fault).update(disabled_reason="By hand.")
    assert WebhookEndpoint.objects.filter(disabled_reason="By hand.").exists()


def test_every_finding_has_a_sentence_and_a_fix():
    for code, problem in PROBLEMS.items():
        finding = Finding(code, dict.fromkeys(names_in(problem.sentence) | names_in(problem.fix), "x"))
        assert finding.sentence == problem.sentence.format(**finding.facts), code
        assert finding.fix == problem.fix.format(**finding.facts), code
