"""The first minute and Home: hearing styles, choosing one, and what a workspace reads when it comes back."""

import json
import shlex
import sys
from base64 import urlsafe_b64decode
from datetime import timedelta
from html import unescape
from types import SimpleNamespace

import pytest
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from accounts.subscriptions import subscribe_tenant
from accounts.workspaces import playground_key
from adapters.catalog import home_styles, sharing
from adapters.engines import readiness
from adapters.models import AdapterVersion, Engine, Selection, Status, Style
from adapters.public import found_workspace
from drafts.models import Draft
from keys import snippets
from metering.models import Invoice
from metering.plans import newest_plan_version
from metering.request_log import Refusal, record_refusals
from tenants.models import AuditEntry, Membership, Tenant
from tests.adapters.builders import known
from tests.adapters.routes import routes_of
from tests.operations.builders import used
from tests.tenants.builders import issue_key
from website import member_home

HOME = "/home/"
QUOTES = "Don't say \"rain\" or \\ and 'é'."


@pytest.fixture
def legal(polyscribe: Tenant, engine: Engine) -> Style:
    style = known(polyscribe, "legal", engine).style
    sharing.set_public(style)
    return style


def test_a_new_workspace_begins_by_hearing(client, charlie, operator_client):
    assert operator_client.post(reverse("website:create_workspace"), {"workspace": "Desk"})["Location"] == (
        reverse("welcome")
    )


def test_a_new_workspace_has_the_first_partys_styles_selected(
    charlie_client, charlies, operator, poetry, legal
):
    """Whichever way it is founded: the page, the demo's seed and trials call one action."""
    selected = Selection.objects.filter(tenant=charlies).values_list("style__slug", flat=True)
    assert not selected, "it was founded before there was a style"
    subscribe_tenant(charlies, newest_plan_version("writer"))
    charlie_client.post(reverse("website:create_workspace"), {"workspace": "Desk"})
    desk = Tenant.objects.get(slug="desk")
    for tenant in (desk, found_workspace(operator, name="By a command")):
        slugs = Selection.objects.filter(tenant=tenant).values_list("style__slug", flat=True)
        assert set(slugs) == {"poetry", "legal"}
        assert set(routes_of(tenant.pk)) >= {"poetry", "legal"}
    actions = AuditEntry.objects.filter(tenant=desk).values_list("action", flat=True)
    assert sorted(actions) == ["style.selected", "style.selected", "workspace.created"]


def test_styles_of_others_and_those_that_leave_are_not_selected_from_the_start(
    charlie, charlies, engine, poetry, legal
):
    Style.objects.filter(pk=legal.pk).update(public_until=timezone.now() + timedelta(days=1))
    sharing.set_public(known(charlies, "tide", engine).style)
    desk = found_workspace(charlie, name="Desk")
    assert [one.style.slug for one in Selection.objects.filter(tenant=desk)] == ["poetry"]


def test_the_call_on_the_keys_page_names_a_style_that_answers(alice, alice_client, acme, poetry, engine):
    def called(**facts: str) -> str:
        facts = {"scopes": ["inference"], "lifetime_days": "", **facts}
        page = alice_client.post(reverse("keys:issue_key"), facts).text
        assert "Copy" in page
        return unescape(page.partition("-d '")[2].partition("'")[0])

    assert json.loads(called(name="one"))["model"] == "base", "nothing is selected"
    Selection.objects.create(tenant=acme, style=poetry)
    assert json.loads(called(name="two"))["model"] == "poetry"
    noir = known(acme, "noir", engine).style
    assert json.loads(called(name="three", styles=[str(noir.pk)]))["model"] == "acme/noir"
    Tenant.objects.update(default_style=noir.pk)
    assert json.loads(called(name="four"))["model"] == "acme/noir"
    assert called(name="five", scopes=["usage:read"]) == "", "it may not write"


def test_public_styles_are_heard_at_once_and_only_the_chosen_one_stays(alice_client, acme, poetry, legal):
    page = alice_client.get(reverse("welcome"))
    assert [style.model_name for style in page.context["styles"]] == ["poetry", "legal"]
    assert "LoRA" not in page.text
    assert alice_client.post(reverse("try_styles")).json() == {"selected": 2}
    assert Selection.objects.filter(tenant=acme).count() == 2
    answer = alice_client.post(reverse("choose_style", args=[legal.pk]), {"prompt": QUOTES})
    address, _, asked = answer["Location"].partition("#try=")
    assert address == "/playground/?style=legal"
    assert json.loads(urlsafe_b64decode(asked + "==")) == {"models": ["legal"], "prompt": QUOTES}
    assert Selection.objects.get(tenant=acme).style == legal


def test_what_a_teammate_selected_before_stays_when_another_is_chosen(
    alice_client, bob_client, acme, poetry, legal
):
    bob_client.post(reverse("adapters:select", args=[poetry.pk]))
    alice_client.post(reverse("try_styles"))
    alice_client.post(reverse("choose_style", args=[legal.pk]))
    chosen = Selection.objects.filter(tenant=acme).values_list("style__slug", flat=True)
    assert set(chosen) == {"poetry", "legal"}


def test_others_hear_a_style_as_it_was_approved(alice_client, acme, charlies, engine):
    style = known(charlies, "tide", engine).style
    approved = {"approved_version": F("live_version"), "approved_name": "Tide", "approved_sample": "Calm."}
    Style.objects.update(is_public=True, name="Not yet read", sample="Not yet read", **approved)
    [heard] = home_styles.styles_to_try(acme)
    assert (heard.pk, heard.name, heard.sample) == (style.pk, "Tide", "Calm.")
    assert "Not yet read" not in alice_client.get(reverse("welcome")).text


def test_without_public_styles_the_first_page_says_what_to_do(alice_client, engine):
    page = alice_client.get(reverse("welcome")).text
    assert reverse("inference:playground") in page
    assert reverse("adapters:upload") in page
    assert "data-welcome" not in page


def test_the_engine_is_told_of_in_words_and_asked_again_while_it_starts(alice_client, engine):
    words = {}
    for state, facts in {
        "ready": {"is_healthy": True, "checked_at": timezone.now()},
        "starting": {"is_healthy": False, "checked_at": timezone.now()},
        "away": {"is_healthy": True, "checked_at": timezone.now() - timedelta(minutes=5)},
    }.items():
        Engine.objects.update(**facts)
        words[state] = alice_client.get(reverse("engine_state"))
        assert readiness.engine_readiness().word == state
    assert "every 5s" not in words["ready"].text
    assert "about a minute" in words["starting"].text
    assert "every 5s" in words["starting"].text
    assert "no-store" in words["away"].headers["Cache-Control"]
    Engine.objects.all().delete()
    assert readiness.engine_readiness().word == "missing"


def test_home_tells_of_today_the_styles_in_use_and_what_failed(alice_client, acme, engine, poetry):
    known(acme, "noir", engine)
    Selection.objects.create(tenant=acme, style=poetry)
    Style.objects.filter(pk=poetry.pk).update(sample="The city wakes.")
    used(acme, "poetry", times=3)
    known(acme, "broken", engine, status=Status.REJECTED)
    Invoice.objects.create(
        tenant=acme, period="2026-09", state="finalized", number=1, plan="Writer v1", total_nanousd=5
    )
    page = alice_client.get(HOME)
    assert "3 requests and 90 tokens today" in page.text
    assert [style.model_name for style in page.context["styles"]] == ["poetry", "acme/noir"]
    assert "The city wakes." in page.text
    assert "Version 1 of Broken was rejected" in page.text
    assert "You have an unpaid invoice" in page.text
    assert "model=&quot;poetry&quot;" in alice_client.get(reverse("home_developers")).text
    AdapterVersion.objects.update(created_at=timezone.now() - timedelta(days=30))
    assert "was rejected" not in alice_client.get(HOME).text


def refuse(tenant: Tenant, code: str, *, minutes_ago: int, reason: str = "No.") -> None:
    refusal = Refusal(
        request_id=f"req_{code}_{minutes_ago}",
        tenant_id=tenant.pk,
        key_id=playground_key(tenant).pk,
        at=timezone.now() - timedelta(minutes=minutes_ago),
        model_name="poetry",
        status=429,
        code=code,
        reason=reason,
    )
    record_refusals([refusal])


def test_home_says_what_was_refused_today_why_and_where_to_mend_it(alice_client, acme, charlies):
    refuse(acme, "rate_limit_exceeded", minutes_ago=60 * 25, reason="Yesterday.")
    refuse(charlies, "insufficient_scope", minutes_ago=1, reason="Of another.")
    assert "Refused in the last 24 hours" not in alice_client.get(HOME).text
    refuse(acme, "rate_limit_exceeded", minutes_ago=9, reason="An older one.")
    refuse(acme, "rate_limit_exceeded", minutes_ago=3, reason="Too fast.")
    refuse(acme, "context_length_exceeded", minutes_ago=5, reason="Too long.")
    page = alice_client.get(HOME)
    shown = [(one.refused.reason, one.refused.count, one.remedy.address) for one in page.context["refusals"]]
    assert shown == [
        ("Too fast.", 2, reverse("billing:plan")),
        ("Too long.", 1, reverse("guide", args=["api"])),
    ]
    for word in ("Too fast.", "2 requests", "See the limits of your plan"):
        assert word in page.text
    assert "Yesterday." not in page.text
    assert "Of another." not in page.text


def test_every_remedy_leads_to_a_page(alice_client, acme):
    for code in (*member_home.REMEDIES, "some_other_code"):
        assert alice_client.get(member_home.find_remedy(code).address).status_code == 200, code


def test_the_next_steps_are_read_from_rows_and_can_be_hidden(alice_client, bob_client, acme, alice, poetry):
    def done() -> list[bool]:
        return [step.is_done for step in alice_client.get(HOME).context["steps"]]

    def done_by_developers() -> list[bool]:
        page = alice_client.get(reverse("home_developers"))
        return [step.is_done for step in page.context["steps"]]

    assert done() == [False, False, False]
    Selection.objects.create(tenant=acme, style=poetry)
    used(acme, "poetry")
    assert done() == [False, True, False]
    Draft.objects.create(tenant=acme, text="Begun.", words=1)
    assert done() == [False, True, True]
    assert done_by_developers() == [False, False]
    key, _ = issue_key(acme, name="laptop", by=alice)
    used(acme, "base", key=key)
    assert done_by_developers() == [True, True]
    assert alice_client.post(reverse("hide_steps")).status_code == 302
    assert done() == []
    assert bob_client.get(HOME).context["steps"], "each person hides them alone"
    assert Membership.objects.get(user=alice).steps_hidden_at


def test_a_writer_reads_what_waits_for_her_first_and_no_code(alice_client, acme, engine):
    known(acme, "my-voice", engine, auto_promote=False)
    page = alice_client.get(HOME)
    ready = "Version 1 of My-Voice is ready, but not live yet."
    assert page.text.index(ready) < page.text.index("Next steps")
    assert reverse("adapters:style", args=["acme", "my-voice"]) in page.text
    alice_client.post(reverse("hide_steps"))
    left = alice_client.get(HOME).text
    assert (ready in left, "Next steps" in left) == (True, False), "a decision is not hidden with the steps"
    for address in (HOME, reverse("adapters:style", args=["acme", "my-voice"])):
        assert "client.chat.completions" not in alice_client.get(address).text, address
    style = reverse("adapters:style_developers", args=["acme", "my-voice"])
    for address in (reverse("home_developers"), style):
        assert "client.chat.completions" in alice_client.get(address).text, address


def test_pages_ask_few_questions_with_many_rows(
    alice_client, acme, engine, polyscribe, django_assert_max_num_queries
):
    for number in range(12):
        known(acme, f"style-{number}", engine)
        sharing.set_public(known(polyscribe, f"public-{number}", engine).style)
        used(acme, f"acme/style-{number}", times=3)
    alice_client.get(HOME)  # notes once in ten minutes that she was here
    # What trainings cost and hold is one; so is the demo's sample data, which sites with https leave out.
    with django_assert_max_num_queries(14):
        assert alice_client.get(HOME).status_code == 200
    with django_assert_max_num_queries(12):
        assert alice_client.get(reverse("welcome")).status_code == 200


@pytest.mark.parametrize("prompt", ["Describe a morning.", QUOTES, "Two\nlines"])
def test_the_lines_of_the_quick_start_ask_what_they_show(monkeypatch, capsys, prompt):
    asked = {}

    class Client:
        def __init__(self, **options):
            asked.update(options)
            self.chat = SimpleNamespace(completions=SimpleNamespace(create=self.create))

        def create(self, **call):
            asked.update(call)
            message = SimpleNamespace(content="It rains.")
            return SimpleNamespace(choices=[SimpleNamespace(message=message)])

    monkeypatch.setitem(sys.modules, "openai", SimpleNamespace(OpenAI=Client))
    monkeypatch.setenv(snippets.KEY_VARIABLE, "sk-ps-test")
    code = snippets.python_call("https://site.example/v1", "acme/noir", prompt)
    exec(compile(code, "quick start", "exec"), {})
    assert capsys.readouterr().out == "It rains.\n"
    assert (asked["base_url"], asked["api_key"]) == ("https://site.example/v1", "sk-ps-test")
    messages = [{"role": "user", "content": prompt}]
    assert (asked["model"], asked["messages"], asked["temperature"]) == ("acme/noir", messages, 0.8)
    words = shlex.split(snippets.curl_call("https://site.example/v1", "acme/noir", prompt))
    body = json.loads(words[words.index("-d") + 1])
    assert (body["model"], body["messages"], body["temperature"]) == ("acme/noir", messages, 0.8)
