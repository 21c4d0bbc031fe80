"""Workspaces in which something of everything has happened: the states that a walk through pages looks at.

Each function lays rows and returns the addresses that show them.
"""

from datetime import timedelta
from uuid import uuid4

from allauth.usersessions.models import UserSession
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.subscriptions import subscribe_tenant
from adapters.errors import Finding
from adapters.models import (
    AdapterVersion,
    Engine,
    EngineErasure,
    Erasure,
    Favourite,
    PriceChange,
    Probe,
    Release,
    Selection,
    Share,
    Status,
    Style,
)
from billing.models import BillingDetails, Payment, PaymentAccount
from core import months
from core.money import NANO
from events.models import EventType, OutboxEvent, WebhookDelivery, WebhookEndpoint
from keys.actions import revoke_by_operator, rotate_key
from metering.models import AuthorEarning, CreditGrant, Invoice
from metering.plans import newest_plan_version
from tenants.models import ApiKey, Invitation, Membership, Tenant, User
from tests.adapters.builders import known
from tests.tenants.builders import issue_key, owner_of

LONG_NAME = "Letters of a lighthouse keeper to nobody in particular, of late"
LONG_WORD = "Donaudampfschifffahrtsgesellschaftskapitänspatent"
SAMPLE = "The morning came up grey over the harbour, and nobody had asked it to."
FINDING = Finding(
    "rank_mismatch",
    {
        "tensor": "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
        "actual": 512,
        "expected": 64,
    },
)
BAD_ANSWER = "<html><body>Bad gateway, and " + "more of the same, " * 20 + "</body></html>"


def lay_styles(acme: Tenant, alice: User, engine: Engine) -> list[str]:
    """Lay styles of Acme in each state that a style or version may have."""
    letters = _style_with_history(acme, alice, engine)
    addresses = tabs_of(letters)
    addresses += [
        reverse("adapters:compare", args=["acme", "letters"]),
        reverse("adapters:delete_style", args=[letters.pk]),
        reverse("adapters:upload") + "?style=letters",
        reverse("inference:blind") + "?a=acme/letters@2&b=acme/letters@1",
    ]
    now = timezone.now()
    offer = {"author": "Alice", "licence": "CC BY 4.0"}
    public = {
        **offer,
        "is_public": True,
        "public_since": now,
        "approved_name": "Before",
        "approved_sample": SAMPLE,
    }
    states = {
        "without-licence": {"author": "Alice"},
        "ready-to-offer": offer,
        "offered": {**offer, "offered_at": now, "asked_author_percent": 20},
        "declined": {**offer, "declined_reason": f"It repeats itself. {LONG_WORD}"},
        "changed": {**public, "changed_at": now},
        "change-declined": {**public, "declined_at": now, "declined_reason": "The name is taken."},
        "leaving": {**public, "public_until": now + timedelta(days=20)},
        "suspended": {"suspended_at": now, "suspended_reason": f"It writes addresses of people. {LONG_WORD}"},
    }
    for slug, facts in states.items():
        style = known(acme, slug, engine).style
        Style.objects.filter(pk=style.pk).update(**facts)
        addresses += [page for page in tabs_of(style) if page.endswith((f"{slug}/", "sharing/"))]
    unfinished = {
        "rejected": {
            "status": Status.REJECTED,
            "findings": [FINDING] * 3,
            "conversions": ["ranks"],
            "stored_bytes": 1,
        },
        "failed": {"status": Status.FAILED, "failure": f"The engine could not load it: {LONG_WORD}."},
        "checking": {"status": Status.UPLOADED, "handed_in_at": now},
        "loading": {"status": Status.PUSHING, "handed_in_at": now, "note": "It waits for a free slot."},
    }
    for slug, facts in unfinished.items():
        style = known(acme, slug, engine, **facts).style
        addresses += [page for page in tabs_of(style) if page.endswith((f"{slug}/", "versions/"))]
    return addresses + _lay_erasures(acme, alice, engine)


def tabs_of(style: Style) -> list[str]:
    """Return the addresses of an own style's tabs."""
    place = [style.owner.slug, style.slug]
    tabs = (
        "style",
        "style_versions",
        "style_usage",
        "style_sharing",
        "style_settings",
        "style_developers",
    )
    return [reverse(f"adapters:{tab}", args=place) for tab in tabs]


def _style_with_history(acme: Tenant, alice: User, engine: Engine) -> Style:
    """Return a public style with a canary, votes, shares, a price change, and versions of every kind."""
    first = known(acme, "letters", engine, rank=16, size_bytes=50_000_000)
    live = known(acme, "letters", engine, rank=16, size_bytes=50_000_000)
    canary = known(acme, "letters", engine, auto_promote=False, rank=32)
    AdapterVersion.objects.filter(pk=canary.pk).update(sha256="c" * 64)
    known(acme, "letters", engine, status=Status.REJECTED, findings=[FINDING], stored_bytes=1)
    known(acme, "letters", engine, status=Status.FAILED, failure="The engine ran out of memory.")
    known(acme, "letters", engine, status=Status.RETIRED)
    now = timezone.now()
    AdapterVersion.objects.filter(pk=first.pk).update(approved_at=now)
    for version, strength in ((first, 0.3), (live, 0.9)):
        _lay_probe(version, strength)
    style = Style.objects.select_related("owner").get(pk=live.style_id)
    facts = {
        "name": LONG_NAME[:60],
        "description": f"Short sentences, salt, regret. {LONG_WORD}",
        "sample_prompt": "Describe a morning at the harbour.",
        "sample": SAMPLE,
        "author": "Alice, of Acme",
        "licence": "Free for letters.\nNot for advertisements, nor for " + LONG_WORD,
        "tags": ["letters", "melancholy", "first-person", "short-sentences"],
        "language": "pt-br",
        "test_prompts": "Describe the sea.\nWrite to your sister.",
        "is_public": True,
        "public_since": now - timedelta(days=40),
        "approved_version": first,
        "approved_name": "Letters",
        "changed_at": now,
        "live_version": live,
        "canary_version": canary,
        "canary_percent": 10,
        "canary_since": now - timedelta(hours=3),
    }
    Style.objects.filter(pk=style.pk).update(**facts)
    style.releases.create(
        alias=Release.Alias.LIVE, before=first, after=live, actor=alice, reason="It reads better."
    )
    style.releases.create(alias=Release.Alias.CANARY, after=canary, percent=10, actor=alice)
    prices = {"input_nanousd": 2000, "cached_input_nanousd": 1000, "output_nanousd": 4000}
    first_day = (now + timedelta(days=20)).date()
    PriceChange.objects.create(style=style, **prices, author_percent=30, first_day=first_day)
    for number in range(2):
        other = Tenant.objects.create(slug=f"reader-{number}", name=f"Readers of {LONG_WORD}"[:80])
        ends_at = now + timedelta(days=5) if number else None
        Share.objects.create(style=style, tenant=other, created_by=alice, ends_at=ends_at)
        Selection.objects.create(style=style, tenant=other)
    Favourite.objects.create(user=alice, style=style)
    style.refresh_from_db()
    return style


def _lay_probe(version: AdapterVersion, strength: float) -> None:
    rows = [{"prompt": f"Question {number}?", "shift": strength * number / 3} for number in range(1, 6)]
    samples = [{"prompt": "Who are you?", "base": "I am a model.", "style": SAMPLE} for _ in range(3)]
    measures = {
        "base": {"words_a_sentence": 22.0, "reading_ease": 50.0, "phrases": []},
        "style": {
            "words_a_sentence": 9.0,
            "reading_ease": 80.0,
            "phrases": ["the harbour", "and nobody had"],
        },
    }
    Probe.objects.create(
        version=version,
        engine="local",
        strength=strength,
        noise=0.02,
        shifts=rows,
        samples=samples,
        measures=measures,
    )


def _lay_erasures(acme: Tenant, alice: User, engine: Engine) -> list[str]:
    """Lay one erasure that is done and one that waits for an engine."""
    now = timezone.now()
    addresses = [reverse("adapters:deleted")]
    for slug, is_done in (("erased", True), ("being-erased", False)):
        version = known(acme, slug, engine, status=Status.RETIRED)
        Style.objects.filter(pk=version.style_id).update(retired_at=now)
        facts = {"withdrawn_at": now, "drained_at": now}
        if is_done:
            facts |= {"storage_gone_at": now, "finished_at": now}
        note = "" if is_done else f"It waits until {engine.name} is restarted."
        erasure = Erasure.objects.create(version=version, requested_by=alice, note=note, **facts)
        proof = EngineErasure.Proof.RESTART if is_done else ""
        EngineErasure.objects.create(erasure=erasure, engine=engine.name, unregistered_at=now, proof=proof)
        addresses.append(reverse("adapters:version_erasure", args=[version.pk]))
    return addresses


def lay_styles_of_others(acme: Tenant, alice: User, others: Tenant, engine: Engine) -> list[str]:
    """Lay public and shared styles of another workspace: selected by Acme, not selected, about to go."""
    now = timezone.now()
    addresses = []
    approved = {"approved_name": "Noir", "approved_sample": SAMPLE, "approved_description": "Rain."}
    offer = {"author": "Charlie", "licence": "CC BY 4.0", "tags": ["noir"], "language": "en"}
    public = {"is_public": True, "public_since": now, **approved, **offer}
    states = {
        "noir": public,
        "noir-selected": public,
        "noir-leaving": {**public, "public_until": now + timedelta(days=9)},
        "shared": {"sample": SAMPLE},
        "shared-ending": {"sample": SAMPLE},
    }
    for slug, facts in states.items():
        version = known(others, slug, engine)
        AdapterVersion.objects.filter(pk=version.pk).update(approved_at=now)
        _lay_probe(version, 0.6)
        shown = {"approved_version": version} if "is_public" in facts else {}
        Style.objects.filter(pk=version.style_id).update(**facts, **shown)
        if slug.startswith("shared"):
            ends_at = now + timedelta(days=3) if slug.endswith("ending") else None
            Share.objects.create(style=version.style, tenant=acme, ends_at=ends_at)
        if slug != "noir":
            Selection.objects.create(style=version.style, tenant=acme)
        for tab in ("style", "style_usage"):
            addresses.append(reverse(f"adapters:{tab}", args=[others.slug, slug]))
    Favourite.objects.create(user=alice, style=Style.objects.get(slug="noir"))
    catalogue = reverse("adapters:catalogue")
    kinds = [f"kind={kind}" for kind in ("favourite", "public", "shared", "selected")]
    addresses += [f"{catalogue}?{query}" for query in (*kinds, "q=nothing", "tag=noir", "language=en")]
    return [*addresses, reverse("billing:prices"), reverse("inference:playground"), reverse("welcome")]


def lay_money(acme: Tenant, settings) -> list[str]:
    """Lay an unpaid invoice with a tax id, payments of every kind, credits, earnings, a coming plan."""
    settings.PAYMENT_INSTRUCTIONS = "Ink & Sons\nIBAN DE02 1203 0000 0000 2020 51"
    settings.INVOICE_ISSUER = "Ink & Sons\n1 Quill Street, Oxford\nTax ID GB123456789"
    now = timezone.now()
    subscribe_tenant(acme, newest_plan_version("studio"), at=now)
    subscribe_tenant(acme, newest_plan_version("writer"), at=months.bounds(months.period_of(now))[1])
    bill_to = {"name": f"Acme {LONG_WORD} GmbH", "address": "Am Hafen 1\n20457 Hamburg"}
    details = BillingDetails.objects.create(tenant=acme, **bill_to, tax_id="DE123456789", reference="PO 4711")
    parties = {"bill_to": details.as_text(), "issuer": settings.INVOICE_ISSUER}
    invoice = Invoice.objects.create(
        tenant=acme, period="2026-08", plan="Studio v1", total_nanousd=49 * NANO, **parties
    )
    lines = [
        ("fee", "Studio", 1, 49 * NANO),
        ("usage", "acme/a-style-with-a-long-name: tokens written", 1_234_567, 3 * NANO),
        ("included", "Included tokens", 1, -2 * NANO),
        ("credit", "Credits", 1, -1 * NANO),
    ]
    names = ("kind", "text", "quantity", "amount_nanousd")
    for position, line in enumerate(lines):
        facts = dict(zip(names, line, strict=True))
        invoice.lines.create(position=position, **facts)
    Invoice.objects.filter(pk=invoice.pk).update(state="finalized", number=77, finalized_at=now)
    manual = {"tenant": acme, "provider": Payment.Provider.MANUAL}
    top_up = {**manual, "purpose": "top_up", "amount_nanousd": 20 * NANO}
    by_card = {"tenant": acme, "provider": "stripe", "purpose": "auto_top_up", "amount_nanousd": 10 * NANO}
    declined = {"state": "failed", "failure": "Your card was declined.", "closed_at": now}
    payments = [
        Payment.objects.create(**manual, purpose="invoice", invoice=invoice, amount_nanousd=49 * NANO),
        Payment.objects.create(**top_up),
        Payment.objects.create(**top_up, state="succeeded", closed_at=now),
        Payment.objects.create(**by_card, **declined),
    ]
    automatic = {"threshold_nanousd": 5 * NANO, "amount_nanousd": 20 * NANO}
    card = {"customer_id": "cus_1", "payment_method_id": "pm_1"}
    retry_at = now + timedelta(hours=4)
    PaymentAccount.objects.create(tenant=acme, **card, **automatic, failures=2, retry_at=retry_at)
    period = months.period_of(now)
    grants = [
        ("promotion", "spring", period, "A gift in spring"),
        ("top_up", str(payments[2].pk), "", ""),
        ("author_share", "share-1", "", ""),
        ("goodwill", "sorry", "", "For the hours without an engine"),
    ]
    names = ("source", "source_id", "last_period", "reason")
    for grant in grants:
        facts = dict(zip(names, grant, strict=True))
        CreditGrant.objects.create(tenant=acme, amount_nanousd=10 * NANO, first_period=period, **facts)
    reader = Tenant.objects.exclude(pk=acme.pk).earliest("created_at")
    style = {"style": uuid4(), "style_name": "acme/letters"}
    sums = {"requests": 1200, "tokens": 345_678, "cost_nanousd": 7 * NANO, "share_nanousd": 2 * NANO}
    AuthorEarning.objects.create(author=acme, tenant=reader, day=now.date(), **style, **sums)
    pages = [f"billing:{name}" for name in ("invoices", "plan", "credits", "billing_details", "earnings")]
    addresses = [reverse(name) for name in pages]
    addresses.append(reverse("billing:invoice", args=[invoice.pk]))
    return addresses + [reverse("billing:payment", args=[payment.pk]) for payment in payments]


def lay_keys(acme: Tenant, alice: User) -> list[str]:
    """Lay keys that are revoked, expired, replaced, about to end, and so many that they have pages."""
    now = timezone.now()
    key, _ = issue_key(acme, name="revoked", by=alice)
    revoke_by_operator(key)
    key, _ = issue_key(acme, name="ends soon", by=alice, expires_at=now + timedelta(days=3))
    key, _ = issue_key(acme, name="expired", by=alice, expires_at=now + timedelta(days=3))
    ApiKey.objects.filter(pk=key.pk).update(expires_at=now - timedelta(days=1))
    a_month = {"monthly_tokens": 2_000_000, "monthly_nanousd": 25 * NANO}
    at_once = {"requests_per_minute": 60, "tokens_per_minute": 90_000, "parallel_requests": 4}
    scopes = ["admin", "inference"]
    limited, _ = issue_key(
        acme, name=f"limited {LONG_WORD}"[:60], by=alice, scopes=scopes, **a_month, **at_once
    )
    key, _ = issue_key(acme, name="replaced", by=alice)
    rotate_key(key, by=owner_of(acme, alice), old_lives=timedelta(days=1))
    for number in range(60):
        issue_key(acme, name=f"program {number}", by=alice)
    User.objects.filter(pk=alice.pk).update(review_keys_since=now)
    keys = reverse("keys:keys")
    addresses = [keys, f"{keys}?page=2", f"{keys}?q=program", f"{keys}?q=nothing"]
    addresses += [reverse(f"keys:{name}", args=[limited.pk]) for name in ("limit_key", "rotate_key")]
    return [*addresses, reverse("member_home"), reverse("home_developers"), reverse("website:settings")]


def lay_team(acme: Tenant, alice: User) -> list[str]:
    """Lay members of every role, invitations that are open and over, and other sessions of Alice's."""
    now = timezone.now()
    for number, role in enumerate(Membership.Role.values):
        user = User.objects.create_user(
            f"{LONG_WORD[:30].lower()}-{number}@example.org", first_name=LONG_WORD
        )
        member = Membership.objects.create(user=user, tenant=acme, role=role, last_seen_at=now)
    is_open = {"mailed_at": now, "expires_at": now + timedelta(days=3)}
    Invitation.objects.create(tenant=acme, email="open@example.org", invited_by=alice, **is_open)
    Invitation.objects.create(tenant=acme, email="over@example.org", expires_at=now - timedelta(days=1))
    for agent in ("Mozilla/5.0 (X11; Linux x86_64) Chrome/156", LONG_WORD * 3):
        session = Client()
        session.force_login(alice, backend="allauth.account.auth_backends.AuthenticationBackend")
        key = session.session.session_key
        facts = {"user": alice, "ip": "203.0.113.7", "user_agent": agent}
        UserSession.objects.update_or_create(session_key=key, defaults=facts)
    log = reverse("tenants:audit_log")
    addresses = [reverse("accounts:team"), reverse("accounts:member", args=[member.pk]), log]
    addresses += [f"{log}?person=nobody", reverse("usersessions_list")]
    return [*addresses, reverse("events:notices"), reverse("website:delete_account")]


def lay_webhooks(acme: Tenant) -> list[str]:
    """Lay endpoints that fail and that are off, with deliveries of every kind."""
    now = timezone.now()
    every = {"tenant": acme, "sealed_secret": "none"}
    replaced = {"sealed_previous_secret": "none", "previous_secret_until": now + timedelta(days=1)}
    failing = WebhookEndpoint.objects.create(
        **every,
        **replaced,
        url=f"https://example.com/{LONG_WORD}",
        description=f"Mails to {LONG_WORD}",
        failing_since=now,
        event_types=[EventType.KEY_CREATED, EventType.VERSION_SERVING],
    )
    disabled = {"is_enabled": False, "disabled_at": now, "disabled_reason": "It returned 410 Gone."}
    off = WebhookEndpoint.objects.create(**every, **disabled, url="https://example.com/off")
    for number, status in enumerate(["delivered", "failed", "pending"] * 12):
        event = OutboxEvent.objects.create(tenant=acme, type=EventType.VERSION_SERVING, object={"id": number})
        answered = {"status_code": 200, "latency_ms": 120, "answer": BAD_ANSWER}
        if status == "failed":
            answered |= {"status_code": 502, "failure": "The answer was 502."}
        attempted = {"status": status, "attempts": number % 3, "attempted_at": now}
        WebhookDelivery.objects.create(endpoint=failing, event=event, **attempted, **answered)
    addresses = [reverse("events:webhook", args=[endpoint.pk]) for endpoint in (failing, off)]
    return [reverse("events:webhooks"), *addresses]
