"""Acme's things that addresses name."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone

from accounts.workspaces import create_tenant
from adapters.models import AdapterVersion, BaseModel, Share, Style
from billing.models import CreditNote, Payment
from core.money import NANO
from drafts.models import Draft
from events.models import OutboxEvent, WebhookDelivery, WebhookEndpoint
from metering.ledger import record_events
from metering.models import Invoice, RefusedRequest
from tenants.audit import record_audit
from tenants.models import Invitation, Membership, Tenant, User
from tests.adapters.evidence.cases import lay_evaluation
from tests.tenants.builders import issue_key, make_event
from training.models import Training

type Arguments = dict[str, Any]  # of addresses

LOGGED_BEFORE = "usage.rebuilt"  # the action of the audit log's entry that is there from the beginning
REQUEST_ID = f"req_{'5ec2e7' * 5}ac"


def lay_things(acme: Tenant, alice: User) -> Arguments:
    """Lay a row of each kind; return the arguments that name them. A share is with a third workspace."""
    base_model = BaseModel.objects.create(name="base", config={}, modules={})
    style = Style.objects.create(owner=acme, slug="secret", name="Secret", base_model=base_model)
    version = AdapterVersion.objects.create(style=style, number=1)
    texts = {"prompt": "Secret", "base": "Secret", "style": "Secret " * 25, "writer": "Secret " * 30}
    lay_evaluation(version, samples=[texts])
    key, _ = issue_key(acme, name="laptop", by=alice)
    third = create_tenant(alice, name="Third")
    share = Share.objects.create(style=style, tenant=third)
    endpoint = WebhookEndpoint.objects.create(tenant=acme, url="https://example.com/", sealed_secret="none")
    event = OutboxEvent.objects.create(tenant=acme, type="webhook.test", object={})
    sent = WebhookDelivery.objects.create(endpoint=endpoint, event=event)
    invoice = Invoice.objects.create(
        tenant=acme, period="2026-10", state="paid", number=1, plan="Free v1", total_nanousd=0
    )
    note = CreditNote.objects.create(
        invoice=invoice,
        number=1,
        amount_nanousd=1,
        settlement="refund",
        created_at=invoice.created_at,
    )
    payment = Payment.objects.create(
        tenant=acme, purpose="top_up", amount_nanousd=5 * NANO, provider="manual", state="canceled"
    )
    invitation = Invitation.objects.create(
        tenant=acme, email="eve@example.org", expires_at=timezone.now() + timedelta(days=3)
    )
    training = Training.objects.create(tenant=acme, created_by=alice, slug="secret", name="Secret")
    RefusedRequest.objects.create(
        request_id=REQUEST_ID,
        tenant=acme,
        key=key,
        at=timezone.now(),
        status=429,
        code="rate_limit_exceeded",
    )
    answered = make_event(acme, key, text_sha256="5e" * 32)
    record_events([answered])
    entry = record_audit(alice, action=LOGGED_BEFORE, row=acme, tenant=acme)
    document = training.documents.create(name="secret", size_bytes=6, words=1, status="read")
    draft = Draft.objects.create(
        tenant=acme, author=alice, title="Secret", text="Secret words.", model="base"
    )
    snapshot = draft.snapshots.create(reason="saved", text="Secret", created_by=alice)
    return {
        "draft_id": draft.pk,
        "snapshot_id": snapshot.pk,
        "workspace_id": acme.pk,
        "invitation_id": invitation.pk,
        "invoice_id": invoice.pk,
        "note_id": note.pk,
        "payment_id": payment.pk,
        "version_id": version.pk,
        "style_id": style.pk,
        "share_id": share.pk,
        "key_id": key.pk,
        "member_id": Membership.objects.get(tenant=acme).pk,
        "endpoint_id": endpoint.pk,
        "delivery_id": sent.public_id,
        "request_id": REQUEST_ID,
        "answer_id": answered.request_id,
        "entry_id": entry.pk,
        "training_id": training.pk,
        "document_id": document.pk,
        "round_id": uuid4(),
        "side": "left",
        "owner": acme.slug,
        "slug": style.slug,
        "form": "json",
        "style": f"{acme.slug}/{style.slug}",
        "number": 1,
        "workspace": third.slug,
    }
